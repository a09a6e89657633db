"""The stats of HTTP/2 codecs, named as Envoy names them: `http2.*` of servers, `cluster.<name>.http2.*` of clients."""

from meshproxy.http.h2.errors import HEAD_TOO_LARGE, UNDERSCORE
from meshproxy.observe.stats import StatGroup


class Http2Stats(StatGroup):
    """Shared by all connections of a side, whatever their manager; of a cluster, by those of the cluster."""

    COUNTERS = (
        "cookies_total_bytes_too_large", "dropped_headers_with_underscores", "goaway_sent",
        "header_list_size_too_large", "header_overflow", "headers_cb_no_stream", "inbound_empty_frames_flood",
        "inbound_priority_frames_flood", "inbound_window_update_frames_flood", "keepalive_timeout",
        "metadata_empty_frames", "nghttp2_downstream_connections", "nghttp2_upstream_connections",
        "oghttp2_downstream_connections", "oghttp2_upstream_connections", "outbound_control_flood", "outbound_flood",
        "requests_rejected_with_underscores_in_headers", "rx_messaging_error", "rx_reset", "stream_refused_errors",
        "trailers", "tx_flush_timeout", "tx_reset",
    )  # fmt: skip
    GAUGES = (
        "deferred_stream_close", "outbound_control_frames_active", "outbound_frames_active", "pending_send_bytes",
        "streams_active",
    )  # fmt: skip
    HISTOGRAMS = ("cookie_count", "cookie_size", "header_count", "header_list_size")

    __slots__ = (*COUNTERS, *GAUGES, *HISTOGRAMS)

    def count_unwanted(self, details: str) -> None:
        """A head was refused for something that HTTP allows."""
        if details == UNDERSCORE:
            self.requests_rejected_with_underscores_in_headers += 1
        elif details == HEAD_TOO_LARGE:
            self.header_list_size_too_large += 1
        else:
            self.header_overflow += 1
