"""The stats of a listener, named as Envoy names them."""

from meshproxy.observe.stats import Part, StatGroup


class ListenerStats(StatGroup):
    """`listener.<address>.*`."""

    COUNTERS = (
        "downstream_cx_destroy", "downstream_cx_overflow", "downstream_cx_overload_reject", "downstream_cx_total",
        "downstream_cx_transport_socket_connect_timeout", "downstream_global_cx_overflow",
        "downstream_listener_filter_error", "downstream_listener_filter_remote_close", "downstream_pre_cx_timeout",
        "extension_config_missing", "network_extension_config_missing", "no_filter_chain_match",
    )  # fmt: skip
    GAUGES = ("downstream_cx_active", "downstream_pre_cx_active")
    HISTOGRAMS = ("connections_accepted_per_socket_event", "downstream_cx_length_ms")

    __slots__ = (*COUNTERS, *GAUGES, *HISTOGRAMS)

    def update(self) -> None:
        # Envoy counts every connection there for a moment.
        if self.downstream_cx_total is not False:
            self.touch("downstream_pre_cx_active")


class AdminListenerStats(Part):
    """`listener.admin.*`: nothing of it is discovered."""

    COUNTERS = tuple([name for name in ListenerStats.COUNTERS if "extension_config_missing" not in name])
    GAUGES = ListenerStats.GAUGES
    HISTOGRAMS = ListenerStats.HISTOGRAMS

    __slots__ = ()


class WorkerStats(StatGroup):
    """`listener.<address>.worker_<n>.*`."""

    COUNTERS = ("downstream_cx_total",)
    GAUGES = ("downstream_cx_active",)

    __slots__ = (*COUNTERS, *GAUGES)
