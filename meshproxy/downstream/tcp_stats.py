"""The stats of a TCP proxy, named as Envoy names them."""

from meshproxy.observe.stats import StatGroup


class TcpStats(StatGroup):
    """`tcp.<stat_prefix>.*`."""

    COUNTERS = (
        "downstream_cx_drain_close", "downstream_cx_no_route", "downstream_cx_overload_close",
        "downstream_cx_rx_bytes_total", "downstream_cx_total", "downstream_cx_tx_bytes_total",
        "downstream_flow_control_paused_reading_total", "downstream_flow_control_resumed_reading_total",
        "early_data_received_count_total", "idle_timeout", "max_downstream_connection_duration", "route_delayed_total",
        "upstream_flush_total",
    )  # fmt: skip
    GAUGES = ("downstream_cx_rx_bytes_buffered", "downstream_cx_tx_bytes_buffered", "upstream_flush_active")

    __slots__ = (*COUNTERS, *GAUGES)

    def update(self) -> None:
        # Envoy touches it with every read.
        if self.downstream_cx_rx_bytes_total is not False:
            self.touch("downstream_cx_rx_bytes_buffered")
