"""The action that forwards to a cluster (envoy.config.route.v3.RouteAction)."""

from collections.abc import Callable, Mapping
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import RequestHeaders
from meshproxy.http.stream import Stream
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.routing.asked import ASKING, take_asked
from meshproxy.routing.deadlines import Deadlines
from meshproxy.routing.grpc_timeout import GrpcTimeout, write_grpc_timeout
from meshproxy.routing.rate_limits import RouteLimits
from meshproxy.routing.rewrites import PathRewrite, set_host
from meshproxy.routing.stats import find_virtual_cluster
from meshproxy.upstream.cluster import Cluster, Clusters

if TYPE_CHECKING:
    from meshproxy.routing.router import Router
    from meshproxy.upstream.endpoint import Endpoint

_EXPECTED_TIMEOUT = "x-envoy-expected-rq-timeout-ms"

# Shared by all that have none: tables may be large.
_NONE: Mapping[str, Any] = MappingProxyType({})


class Forward:
    """`timeout` in seconds (whole milliseconds), 0 for none, runs from the end of the request to that of the response.

    The cluster is `cluster_name`, or what `name_of` reads from the request. `rewrites` come after the route's edits.
    """

    forwards: ClassVar[bool] = True
    __slots__ = (
        "append_forwarded_host",
        "attempt_count_in_request",
        "attempt_count_in_response",
        "auto_host_rewrite",
        "cluster_name",
        "clusters",
        "connect",
        "grpc_timeout",
        "metadata_match",
        "name_of",
        "not_found_status",
        "priority",
        "queue",
        "rate_limits",
        "rewrites",
        "timeout",
        "timeout_text",
        "upgrades",
    )

    def __init__(self, clusters: Clusters, deadlines: Deadlines, cluster_name: str, timeout: float = 15.0) -> None:
        self.clusters = clusters
        self.cluster_name = cluster_name
        self.name_of: Callable[[Stream], str] | None = None
        self.not_found_status = 503
        self.timeout = timeout
        self.timeout_text = intern(str(round(timeout * 1000)))
        # Where gRPC callers say how long they wait.
        self.grpc_timeout: GrpcTimeout | None = None
        self.queue: TimeoutQueue[Stream] = deadlines.queue(timeout, response_timed_out)
        self.rewrites: tuple[PathRewrite, ...] = ()
        # The attempt sets the host from the endpoint that was chosen.
        self.auto_host_rewrite = False
        self.append_forwarded_host = False
        self.attempt_count_in_request = False
        self.attempt_count_in_response = False
        # 0 default, 1 high: which of the cluster's limits count.
        self.priority = 0
        # envoy.lb metadata that endpoints must have.
        self.metadata_match: Mapping[str, Any] = _NONE
        # Upgrade type (lower case) -> whether this route allows it, in place of what the manager says.
        self.upgrades: Mapping[str, bool] = _NONE
        self.rate_limits: RouteLimits | None = None
        self.connect: ConnectConfig | None = None

    def start(self, router: "Router", stream: Stream, end: bool) -> None:
        cluster = stream.cluster = self.find_cluster(stream)
        if cluster is None:
            stream.manager.stats.no_cluster += 1
            stream.reply(LocalReply(self.not_found_status, b"", "cluster_not_found", flag="NC"))
            return
        stream.cluster_name = cluster.name
        route = stream.route
        if route.stats is not None or stream.virtual_host.virtual_clusters:
            self._count(stream)
        request = stream.request
        if not ASKING.isdisjoint(request.index) or self.grpc_timeout is not None:
            if router.strict_headers and router.refuses(stream):
                return
            self._heed(router, stream, request)
        elif self.timeout and not router.suppress_envoy_headers:
            request.add_new((_EXPECTED_TIMEOUT, self.timeout_text))
        if self.attempt_count_in_request:
            request.set("x-envoy-attempt-count", "1")
        for edit in route.request_edits:
            edit(stream)
        for rewrite in self.rewrites:
            rewrite(stream, not router.suppress_envoy_headers)
        attempt = router.attempt(router, stream, cluster, self)
        stream.upstream = attempt
        attempt.start(end)
        if end and stream.upstream is not None:
            self.request_ended(stream)

    def find_cluster(self, stream: Stream) -> Cluster | None:
        """Where this stream goes, or would have gone; None where there is no such cluster."""
        name = self.cluster_name if self.name_of is None else self.name_of(stream)
        return self.clusters.by_name.get(name)

    def request_ended(self, stream: Stream) -> None:
        """The router has passed on the end of the request: the time for the response begins."""
        timeout = self.timeout if stream.asked is None else stream.asked.timeout
        if not timeout:
            return
        stream.timeouts = (*stream.timeouts, self.queue)
        if timeout == self.timeout:
            self.queue.add(stream)
        else:
            self.queue.add_for(stream, timeout)

    def rewrite_host(self, router: "Router", stream: Stream, endpoint: "Endpoint") -> None:
        """auto_host_rewrite, for the attempt to call when it has its endpoint."""
        if endpoint.hostname:
            set_host(
                stream.request, endpoint.hostname, self.append_forwarded_host, not router.suppress_envoy_headers
            )

    def _heed(self, router: "Router", stream: Stream, request: RequestHeaders) -> None:
        """What the request's own headers ask for goes before what the route says."""
        asked = stream.asked = take_asked(request, router.respect_expected_rq_timeout)
        by_grpc = self.grpc_timeout.of(request) if self.grpc_timeout is not None else None
        if asked.timeout is None:
            asked.timeout = self.timeout if by_grpc is None else by_grpc
        timeout = asked.timeout
        # A try can take no longer than all of them.
        expected = asked.per_try_timeout or timeout
        if timeout and expected > timeout:
            expected = timeout
        if not expected:
            return
        if not router.suppress_envoy_headers:
            request.set(_EXPECTED_TIMEOUT, str(round(expected * 1000)))
        if by_grpc is not None:
            write_grpc_timeout(request, expected)

    def _count(self, stream: Stream) -> None:
        """Finds what counts this request beside its cluster."""
        found = find_virtual_cluster(stream.virtual_host.virtual_clusters, stream.request)
        if found is not None:
            stream.virtual_cluster = found.name
            stream.extra_stats = (found.stats,)
        if stream.route.stats is not None:
            stream.extra_stats = (*stream.extra_stats, stream.route.stats)


class ConnectConfig:
    """CONNECT ends here and goes on as plain TCP (RouteAction.UpgradeConfig.ConnectConfig)."""

    __slots__ = ("allow_post", "proxy_protocol")

    def __init__(self, allow_post: bool = False, proxy_protocol: int = 0) -> None:
        self.allow_post = allow_post
        # Version of the header to send first; 0 for none.
        self.proxy_protocol = proxy_protocol


def response_timed_out(stream: Stream) -> float:
    """The response is not complete in time."""
    attempt = stream.upstream
    if attempt is None:
        return 0
    attempt.cluster.stats.upstream_rq_timeout += 1
    for stats in stream.extra_stats:
        stats.upstream_rq_timeout += 1
    asked = stream.asked
    if asked is not None and asked.timeout_as_no_content:
        reply = LocalReply(204, b"", "response_timeout", flag="UT")
    else:
        reply = LocalReply(504, b"upstream request timeout", "response_timeout", flag="UT")
    attempt.on_timeout(reply)
    return 0
