"""The action that forwards to a cluster (envoy.config.route.v3.RouteAction)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import RequestHeaders
from meshproxy.http.stream import Stream
from meshproxy.net.proxy_protocol import proxy_header
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.routing.asked import ASKING, take_asked
from meshproxy.routing.attempt import Attempt
from meshproxy.routing.deadlines import Deadlines
from meshproxy.routing.grpc_timeout import GrpcTimeout, write_grpc_timeout
from meshproxy.routing.judged_attempt import timeout_reply
from meshproxy.routing.plan import Plan
from meshproxy.routing.rate_limits import RouteLimits
from meshproxy.routing.rewrites import PathRewrite, set_host
from meshproxy.routing.stats import find_virtual_cluster
from meshproxy.upstream.cluster import Cluster, Clusters
from meshproxy.upstream.tcp_tunnel import TcpTunnel

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
        "configured_plan",
        "connect",
        "deadlines",
        "expected_text",
        "grpc_timeout",
        "hash_policy",
        "metadata_match",
        "name_of",
        "not_found_status",
        "plan",
        "plan_is_simple",
        "priority",
        "queue",
        "rate_limits",
        "rewrites",
        "timeout",
        "upgrades",
    )

    def __init__(self, clusters: Clusters, deadlines: Deadlines, cluster_name: str, timeout: float = 15.0) -> None:
        self.clusters = clusters
        self.cluster_name = cluster_name
        self.name_of: Callable[[Stream], str] | None = None
        self.not_found_status = 503
        self.timeout = timeout
        # What x-envoy-expected-rq-timeout-ms says; "" where it says nothing.
        self.expected_text = _milliseconds(timeout)
        # Where gRPC callers say how long they wait.
        self.grpc_timeout: GrpcTimeout | None = None
        self.deadlines = deadlines
        self.queue: TimeoutQueue[Stream] = deadlines.queue(timeout, response_timed_out)
        # What there is beside one plain try, for requests that ask for nothing; None: nothing.
        self.plan: Plan | None = None
        # It does not depend on the request.
        self.plan_is_simple = False
        # The same as it is configured, for requests that ask for something.
        self.configured_plan: Plan | None = None
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
        # From a stream to its hash, for clusters that pick by it.
        self.hash_policy: Callable[[Stream], int | None] | None = None
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
        elif self.expected_text and not router.suppress_envoy_headers:
            request.add_new((_EXPECTED_TIMEOUT, self.expected_text))
        if self.attempt_count_in_request:
            request.set("x-envoy-attempt-count", "1")
        for edit in route.request_edits:
            edit(stream)
        for rewrite in self.rewrites:
            rewrite(stream, not router.suppress_envoy_headers)
        plan = self.plan
        if stream.asked is None and (plan is None or self.plan_is_simple):
            if plan is None:
                attempt = router.attempt(router, stream, cluster, self)
            else:
                attempt = (router.attended if plan.attended else router.judged)(router, stream, cluster, self)
                attempt.plan = plan
        else:
            attempt = self._planned(router, stream, cluster)
        stream.upstream = attempt
        attempt.start(end)
        if end and stream.upstream is not None:
            self.request_ended(stream)

    def find_cluster(self, stream: Stream) -> Cluster | None:
        """Where this stream goes, or would have gone; None where there is no such cluster."""
        name = self.cluster_name if self.name_of is None else self.name_of(stream)
        return self.clusters.by_name.get(name)

    def answer(self, stream: Stream, reply: LocalReply) -> None:
        """What the client gets in place of an answer of an upstream."""
        if self.attempt_count_in_response and stream.attempts:
            reply.headers = [*reply.headers, ("x-envoy-attempt-count", str(stream.attempts))]
        stream.reply(reply)

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

    def set_plan(self, plan: Plan) -> None:
        self.configured_plan = plan
        effective = plan.effective(self.timeout)
        if not effective.plain:
            self.plan = effective
            self.plan_is_simple = effective.retry is None or not effective.retry.request_headers
            if not effective.hedge:
                self.expected_text = _milliseconds(effective.per_try_timeout or self.timeout)

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
        plan = self.configured_plan
        if plan is None and (asked.retry or asked.per_try_timeout):
            plan = Plan()
        if plan is not None:
            asked.plan = plan.with_asked(asked, asked.timeout)
        asked.by_grpc = by_grpc is not None
        self._tell_time_left(router, stream, asked.timeout, asked.plan)

    def note_time_left(self, router: "Router", stream: Stream, plan: Plan) -> None:
        """Tells the upstream of a further try how long it has."""
        timeout = self.timeout if stream.asked is None else stream.asked.timeout
        self._tell_time_left(router, stream, timeout, plan)

    def _tell_time_left(self, router: "Router", stream: Stream, timeout: float, plan: Plan | None) -> None:
        expected = plan.per_try_timeout if plan is not None and not plan.hedge else 0.0
        expected = expected or timeout
        if not expected:
            return
        if timeout:
            # 0 would be for ever.
            expected = max(0.001, min(expected, timeout - self._elapsed(stream)))
        request, asked = stream.request, stream.asked
        if not router.suppress_envoy_headers:
            request.set(_EXPECTED_TIMEOUT, _milliseconds(expected))
        if asked is not None and asked.by_grpc:
            write_grpc_timeout(request, expected)

    def _elapsed(self, stream: Stream) -> float:
        """Of the time for all tries; it begins with the end of the request."""
        if not stream.attempts or not stream.request_complete:
            return 0.0
        return stream.manager.loop.time() - stream.request_done_at

    def _planned(self, router: "Router", stream: Stream, cluster: Cluster) -> Attempt:
        """The first try of a stream that has a plan, or whose request asked for something."""
        plan = self.plan if stream.asked is None else stream.asked.plan
        if plan is not None and plan.retry is not None and not plan.retry.takes(stream.request):
            plan = replace(plan, retry=None)
        if plan is None or plan.plain:
            return router.attempt(router, stream, cluster, self)
        attempt = (router.attended if plan.attended else router.judged)(router, stream, cluster, self)
        attempt.plan = plan
        return attempt

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

    def tunnel(self, stream: Stream, cluster: Cluster, endpoint: "Endpoint") -> TcpTunnel | None:
        """What stands for the pool of an endpoint; None where the request is no CONNECT."""
        request, client = stream.request, stream.connection
        if not (request.method == "CONNECT" or (self.allow_post and request.method == "POST")):
            return None
        version = self.proxy_protocol
        header = proxy_header(version, client.peer, client.local) if version else b""
        return TcpTunnel(endpoint.cluster or cluster, endpoint, header, client)


def response_timed_out(stream: Stream) -> float:
    """The response is not complete in time."""
    attempt = stream.upstream
    if attempt is None:
        return 0
    attempt.on_timeout(timeout_reply(stream, "response_timeout"))
    return 0


def _milliseconds(seconds: float) -> str:
    return intern(str(round(seconds * 1000))) if seconds else ""
