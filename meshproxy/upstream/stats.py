"""The stats of a cluster and of its endpoints, named as Envoy names them."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from meshproxy.http.h2.stats import Http2Stats
from meshproxy.net.count import Counts
from meshproxy.observe.named_stats import NamedStats
from meshproxy.observe.stats import Histogram, Kind, Row, StatGroup, clean_prefix
from meshproxy.upstream.limits import Limits

# Where a request came from: `x-envoy-internal: true` or not.
EXTERNAL = "external."
INTERNAL = "internal."
ORIGINS = (EXTERNAL, INTERNAL)


class Responses:
    """Responses by status code, and how long they took in milliseconds."""

    __slots__ = ("codes", "time")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.time = StatGroup.HISTOGRAM()

    def charge(self, status: int) -> None:
        codes = self.codes
        codes[status] = codes.get(status, 0) + 1

    def reset(self) -> None:
        self.codes = dict.fromkeys(self.codes, 0)

    def merge(self, other: "Responses") -> None:
        for status, count in other.codes.items():
            self.codes[status] = self.codes.get(status, 0) + count
        self.time.merge(other.time)

    def named(self, prefix: str) -> Iterator[tuple[Kind, str, int | Histogram]]:
        """The stats that Envoy makes of them, such as `upstream_rq_503`, `upstream_rq_5xx`, `upstream_rq_completed`."""
        if self.codes:
            yield "counter", f"{prefix}upstream_rq_completed", sum(self.codes.values())
        groups: dict[int, int] = {}
        for status, count in self.codes.items():
            # Envoy has no names for what is beyond.
            if status < 600:
                yield "counter", f"{prefix}upstream_rq_{status}", count
            groups[status // 100] = groups.get(status // 100, 0) + count
        for group, count in groups.items():
            if 1 <= group <= 5:
                yield "counter", f"{prefix}upstream_rq_{group}xx", count
        if self.time.counts:
            yield "histogram", f"{prefix}upstream_rq_time", self.time


# An endpoint's address, whether it is healthy, and its stats.
EndpointRow = tuple[str, bool, "EndpointStats"]


class Priorities(NamedTuple):
    """The limits of each routing priority."""

    default: Limits
    high: Limits


_BREAKERS = tuple([
    f"circuit_breakers.{priority}.{name}"
    for priority in Priorities._fields
    for name in ("cx_open", "cx_pool_open", "rq_open", "rq_pending_open", "rq_retry_open")
])  # fmt: skip
# What a cluster's codec would count, once it has had a connection; nothing here counts them yet.
_HTTP1 = (
    "http1.dropped_headers_with_underscores", "http1.metadata_not_supported_error",
    "http1.requests_rejected_with_underscores_in_headers", "http1.response_flood",
)  # fmt: skip


class ClusterStats(StatGroup):
    """`cluster.<name>.*`."""

    _COUNTED = (
        "assignment_stale", "assignment_timeout_received", "assignment_use_cached", "bind_errors",
        "lb_healthy_panic", "lb_local_cluster_not_ok", "lb_recalculate_zone_structures", "lb_subsets_created",
        "lb_subsets_fallback", "lb_subsets_fallback_panic", "lb_subsets_removed", "lb_subsets_selected",
        "lb_zone_cluster_too_small", "lb_zone_no_capacity_left", "lb_zone_routing_all_directly",
        "lb_zone_routing_cross_zone", "lb_zone_routing_sampled", "membership_change", "original_dst_host_invalid",
        "retry_or_shadow_abandoned", "update_attempt", "update_empty", "update_failure", "update_no_rebuild",
        "update_success", "upstream_cx_close_notify", "upstream_cx_connect_attempts_exceeded",
        "upstream_cx_connect_fail", "upstream_cx_connect_timeout", "upstream_cx_connect_with_0_rtt",
        "upstream_cx_destroy", "upstream_cx_destroy_local", "upstream_cx_destroy_local_with_active_rq",
        "upstream_cx_destroy_remote", "upstream_cx_destroy_remote_with_active_rq", "upstream_cx_destroy_with_active_rq",
        "upstream_cx_http1_total", "upstream_cx_http2_total", "upstream_cx_http3_total", "upstream_cx_idle_timeout",
        "upstream_cx_max_duration_reached", "upstream_cx_max_requests", "upstream_cx_none_healthy",
        "upstream_cx_overflow", "upstream_cx_pool_overflow", "upstream_cx_preconnect_skipped",
        "upstream_cx_protocol_error", "upstream_cx_rx_bytes_total", "upstream_cx_total", "upstream_cx_tx_bytes_total",
        "upstream_flow_control_backed_up_total", "upstream_flow_control_drained_total",
        "upstream_flow_control_paused_reading_total", "upstream_flow_control_resumed_reading_total",
        "upstream_http3_broken", "upstream_internal_redirect_failed_total",
        "upstream_internal_redirect_succeeded_total", "upstream_rq_0rtt", "upstream_rq_active_overflow",
        "upstream_rq_cancelled", "upstream_rq_maintenance_mode",
        "upstream_rq_max_duration_reached", "upstream_rq_pending_failure_eject", "upstream_rq_pending_overflow",
        "upstream_rq_pending_total", "upstream_rq_per_try_idle_timeout", "upstream_rq_per_try_timeout",
        "upstream_rq_retry", "upstream_rq_retry_backoff_exponential", "upstream_rq_retry_backoff_ratelimited",
        "upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow", "upstream_rq_retry_success",
        "upstream_rq_rx_reset", "upstream_rq_rx_reset_no_error", "upstream_rq_timeout", "upstream_rq_total",
        "upstream_rq_tx_reset",
    )  # fmt: skip
    _GAUGED = (
        "lb_subsets_active", "max_host_weight", "membership_degraded", "membership_excluded", "membership_healthy",
        "membership_total", "upstream_cx_active", "upstream_cx_rx_bytes_buffered", "upstream_cx_tx_bytes_buffered",
        "upstream_queue_overloaded", "upstream_rq_pending_active", "version", "warming_state",
    )  # fmt: skip
    COUNTERS = (*_COUNTED, "default.total_match_count", "upstream_rq_completed")
    GAUGES = (*_GAUGED, "upstream_rq_active", *_BREAKERS)
    HISTOGRAMS = ("upstream_cx_connect_ms", "upstream_cx_length_ms", "upstream_rq_per_cx")

    # Every worker finds the same endpoints.
    SAME = frozenset({
        "lb_recalculate_zone_structures", "lb_subsets_active", "lb_subsets_created",
        "lb_subsets_removed", "lb_zone_cluster_too_small", "max_host_weight", "membership_change",
        "membership_degraded", "membership_excluded", "membership_healthy", "membership_total", "update_attempt",
        "update_empty", "update_failure", "update_no_rebuild", "update_success", "version", "warming_state",
    })  # fmt: skip

    __slots__ = (
        *_COUNTED, *_GAUGED, *HISTOGRAMS, "_external", "endpoints", "http2", "limits", "_named", "responses",
        "total_match_count",
    )  # fmt: skip

    def __init__(self, counts: Counts | None = None) -> None:
        super().__init__()
        # Of its HTTP/2 connections.
        self.http2 = Http2Stats()
        # By prefix: `external.` and `internal.` (which sum up to no prefix), `canary.`, `retry.`, `zone.<from>.<to>.`.
        self.responses: dict[str, Responses] = {}
        self._external: tuple[Responses, ...] | None = None
        self._named: NamedStats | None = None
        # Of each routing priority: default, high.
        counts = counts or Counts()
        self.limits = Priorities(Limits(counts), Limits(counts))
        # Whose own stats are shown below the cluster's (track_cluster_stats.per_endpoint_stats).
        self.endpoints: Callable[[], Iterable[EndpointRow]] | None = None
        # Endpoints for which a transport socket was chosen.
        self.total_match_count: int = False

    @property
    def upstream_rq_active(self) -> int:
        """A gauge that the limits count anyway."""
        active = self.limits[0].requests.own + self.limits[1].requests.own
        return active if self.upstream_rq_total else False

    @property
    def upstream_rq_completed(self) -> int:
        completed = [sum(responses.codes.values()) for origin in ORIGINS if (responses := self.responses.get(origin))]
        return sum(completed) if completed else False

    @property
    def circuit_breakers(self) -> "Priorities":
        """For the names of its gauges."""
        return self.limits

    @property
    def default(self) -> "ClusterStats":
        """For `default.total_match_count`: `default` is the transport socket that all endpoints have."""
        return self

    @property
    def named(self) -> NamedStats:
        """Of filters that count by what requests say (gRPC by method)."""
        if self._named is None:
            self._named = NamedStats()
        return self._named

    def update(self) -> None:
        # Envoy touches it with every read.
        if self.upstream_cx_rx_bytes_total is not False:
            self.touch("upstream_cx_rx_bytes_buffered")

    def external(self) -> tuple[Responses, ...]:
        """Where most responses are counted: those to requests from outside, with nothing special about them."""
        if self._external is None:
            self._external = (self.responses_of(EXTERNAL),)
        return self._external

    def responses_of(self, prefix: str) -> Responses:
        responses = self.responses.get(prefix)
        if responses is None:
            responses = self.responses[prefix] = Responses()
        return responses

    def reset(self) -> None:
        super().reset()
        self.total_match_count = self.total_match_count and 0
        self.http2.reset()
        if self._named is not None:
            self._named.reset()
        for responses in self.responses.values():
            responses.reset()

    def more(self) -> Iterator[Row]:
        for priority, limits in zip(Priorities._fields, self.limits, strict=True):
            for name, value in limits.remaining():
                yield "gauge", f"circuit_breakers.{priority}.{name}", value
        if self.upstream_cx_http1_total:
            for name in _HTTP1:
                yield "counter", name, False
        if self.upstream_cx_http2_total:
            yield from [(kind, f"http2.{name}", value) for kind, name, value in self.http2.rows()]
        if self._named is not None:
            yield from self._named.rows()
        if self.endpoints is not None:
            yield from self._endpoint_rows(self.endpoints())
        sums: dict[str, Responses] = {}
        for prefix, responses in self.responses.items():
            yield from responses.named(prefix)
            if prefix.endswith(ORIGINS):
                sums.setdefault(prefix[: -len(EXTERNAL)], Responses()).merge(responses)
        for prefix, responses in sums.items():
            for row in responses.named(prefix):
                if row[1] != "upstream_rq_completed":
                    yield row


    def _endpoint_rows(self, endpoints: "Iterable[EndpointRow]") -> Iterator[Row]:
        """With workers, these count and main knows who is healthy."""
        counts = self.limits.default.connections
        for address, healthy, stats in endpoints:
            prefix = f"endpoint.{clean_prefix(address)}."
            if counts.shown_here:
                yield "gauge", f"{prefix}healthy", int(healthy)
            if counts.counts_here:
                for kind, name, value in stats.rows():
                    if isinstance(value, int):
                        yield kind, prefix + name, int(value)


class EndpointStats(StatGroup):
    """One line group per endpoint on /clusters."""

    COUNTERS = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
    GAUGES = ("cx_active", "rq_active", "rq_pending_active")

    __slots__ = (*COUNTERS, *GAUGES)
