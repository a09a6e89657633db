"""Where stats are sent by themselves, at every `stats_flush_interval`."""
