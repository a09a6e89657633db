"""The stats of an HTTP connection manager, named as Envoy names them."""

from meshproxy.observe.stats import Part, StatGroup


class Http1Stats(StatGroup):
    """`http1.*`: what the codecs that face clients saw, whatever their manager."""

    COUNTERS = (
        "dropped_headers_with_underscores", "metadata_not_supported_error",
        "requests_rejected_with_underscores_in_headers", "response_flood",
    )  # fmt: skip

    __slots__ = COUNTERS


ROUTER_COUNTERS = (
    "no_cluster", "no_route", "passthrough_internal_redirect_bad_location", "passthrough_internal_redirect_no_route",
    "passthrough_internal_redirect_predicate", "passthrough_internal_redirect_too_many_redirects",
    "passthrough_internal_redirect_unsafe_scheme", "rq_direct_response", "rq_overload_local_reply", "rq_redirect",
    "rq_reset_after_downstream_response_started", "rq_total",
)  # fmt: skip


class HttpStats(StatGroup):
    """`http.<stat_prefix>.*`."""

    COUNTERS = (
        "downstream_cx_delayed_close_timeout", "downstream_cx_destroy", "downstream_cx_destroy_active_rq",
        "downstream_cx_destroy_local", "downstream_cx_destroy_local_active_rq", "downstream_cx_destroy_remote",
        "downstream_cx_destroy_remote_active_rq", "downstream_cx_drain_close", "downstream_cx_http1_total",
        "downstream_cx_http2_total", "downstream_cx_http3_total", "downstream_cx_idle_timeout",
        "downstream_cx_max_duration_reached", "downstream_cx_max_requests_reached",
        "downstream_cx_overload_disable_keepalive", "downstream_cx_protocol_error", "downstream_cx_rx_bytes_total",
        "downstream_cx_ssl_total", "downstream_cx_total", "downstream_cx_tx_bytes_total",
        "downstream_cx_upgrades_total", "downstream_flow_control_paused_reading_total",
        "downstream_flow_control_resumed_reading_total", "downstream_rq_1xx", "downstream_rq_2xx",
        "downstream_rq_3xx", "downstream_rq_4xx", "downstream_rq_5xx", "downstream_rq_completed",
        "downstream_rq_failed_path_normalization", "downstream_rq_header_timeout", "downstream_rq_http1_total",
        "downstream_rq_http2_total", "downstream_rq_http3_total", "downstream_rq_idle_timeout",
        "downstream_rq_max_duration_reached", "downstream_rq_non_relative_path", "downstream_rq_overload_close",
        "downstream_rq_redirected_with_normalized_path", "downstream_rq_rejected_via_ip_detection",
        "downstream_rq_response_before_rq_complete", "downstream_rq_rx_reset", "downstream_rq_timeout",
        "downstream_rq_too_large", "downstream_rq_too_many_premature_resets", "downstream_rq_total",
        "downstream_rq_tx_reset", "downstream_rq_ws_on_non_ws_route", "rs_too_large", *ROUTER_COUNTERS,
    )  # fmt: skip
    GAUGES = (
        "downstream_cx_active", "downstream_cx_http1_active", "downstream_cx_http1_soft_drain",
        "downstream_cx_http2_active", "downstream_cx_http3_active", "downstream_cx_rx_bytes_buffered",
        "downstream_cx_ssl_active", "downstream_cx_tx_bytes_buffered", "downstream_cx_upgrades_active",
        "downstream_rq_active",
    )  # fmt: skip
    HISTOGRAMS = ("downstream_cx_length_ms", "downstream_rq_time")

    __slots__ = (*COUNTERS, *GAUGES, *HISTOGRAMS)

    def update(self) -> None:
        # Envoy touches it with every read.
        if self.downstream_cx_rx_bytes_total is not False:
            self.touch("downstream_cx_rx_bytes_buffered")


class ListenerHttpStats(Part):
    """`listener.<address>.http.<stat_prefix>.*`: some of the manager's numbers under another name."""

    COUNTERS = (
        "downstream_rq_1xx", "downstream_rq_2xx", "downstream_rq_3xx", "downstream_rq_4xx", "downstream_rq_5xx",
        "downstream_rq_completed",
    )  # fmt: skip

    __slots__ = ()

    def reset(self) -> None:
        """The numbers are the source's, and are reset there."""


class AdminHttpStats(Part):
    """`http.admin.*`: a manager without a router."""

    COUNTERS = tuple([name for name in HttpStats.COUNTERS if name not in ROUTER_COUNTERS])
    GAUGES = HttpStats.GAUGES
    HISTOGRAMS = HttpStats.HISTOGRAMS

    __slots__ = ()


class RouterStats(StatGroup):
    """`http.async-client.*`: of requests that filters send by themselves, which none here does."""

    COUNTERS = ROUTER_COUNTERS

    __slots__ = COUNTERS


class TracingStats(StatGroup):
    """`http.<stat_prefix>.tracing.*`"""

    COUNTERS = ("client_enabled", "health_check", "not_traceable", "random_sampling", "service_forced")

    __slots__ = COUNTERS
