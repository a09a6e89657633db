"""One try of one stream on one endpoint (Envoy's UpstreamRequest).

It lives from the choice of an endpoint until the response ended or was given up, and is itself what waits in a pool and
what a connection to the upstream talks to. What holds for the stream whatever the number of tries (the route's timeout,
its edits) is not here but with the route's action.
"""

from typing import TYPE_CHECKING

from meshproxy.http.failures import (
    CONNECTION_TERMINATED,
    OVERFLOW,
    OVERLOADED,
    Failure,
    details_after_start,
    upstream_failure,
)
from meshproxy.http.filter import LocalReply
from meshproxy.http.grpc import is_grpc
from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.routing.charge import charge, count_grpc
from meshproxy.routing.durations import forget_duration, limit_duration
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.sides import UpstreamPool, UpstreamStream
from meshproxy.upstream.stats import Responses

if TYPE_CHECKING:
    from meshproxy.routing.forward import Forward
    from meshproxy.routing.router import Router

# Methods that may be sent twice without harm (RFC 9110 §9.2.2).
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
# What a response whose body is taken away says no more.
_OF_BODY = frozenset({"content-length", "content-type", "transfer-encoding"})


class Attempt:
    """Between `start` and the end of the response it is `stream.upstream`."""

    # What every try sets has a slot; the rest is a default of the class until it is set (see http/stream.py).
    __slots__ = (
        "__dict__", "_heard", "_kept", "_responses", "action", "client", "cluster", "counted", "headers_end", "pool",
        "router", "stream",
    )  # fmt: skip

    trailers: Headers | None = None
    # Body that waits: for a connection, or for an upgrade or CONNECT to be accepted; an upstream that has not
    # accepted gets no bytes behind its head.
    _held: list[tuple[bytes, bool]] | None = None
    _held_size = 0
    _kept_size = 0
    _repeated = False
    # The upstream does not take more at the moment.
    _paused = False
    # A gRPC call whose status comes in the trailers.
    _grpc = False
    # When it began to wait for a connection.
    _asked = 0.0
    # It failed.
    _over = False
    # The endpoint's monitor knows that it takes long.
    timeout_told = False

    def __init__(self, router: "Router", stream: Stream, cluster: Cluster, action: "Forward") -> None:
        self.router = router
        self.stream = stream
        self.cluster = cluster
        self.action = action
        # Where it goes, once that is decided.
        self.pool: UpstreamPool | None = None
        self.client: UpstreamStream | None = None
        # Body that was sent on a reused connection and may have to be sent once more.
        self._kept: list[tuple[bytes, bool]] | None = None
        # Where the response was counted; its time goes there too.
        self._responses: tuple[Responses, ...] = ()
        # `_heard`: the upstream has begun to answer, be it with a 1xx.
        self.counted = self._heard = False

    def start(self, end: bool) -> None:
        cluster = self.cluster
        self.headers_end = end
        if cluster.in_maintenance():
            cluster.stats.upstream_rq_maintenance_mode += 1
            headers = [] if self.router.suppress_envoy_headers else [OVERLOADED]
            self._refuse(LocalReply(503, b"maintenance mode", "maintenance_mode", headers, "UO"))
            return
        self._start_on(cluster.balancer.pick(self.stream))

    def _start_on(self, endpoint: Endpoint | None) -> None:
        stream = self.stream
        cluster = self.cluster
        stream.attempts += 1
        if endpoint is None:
            cluster.stats.upstream_cx_none_healthy += 1
        action = self.action
        pool: UpstreamPool | None
        if endpoint is None:
            pool = None
        elif action.connect is None and stream.connection.upstream_source is None and endpoint.transports is None:
            # The pool that is there is the common case.
            pool = endpoint.pools[action.priority] or cluster.pool(endpoint, action.priority, stream.protocol)
        else:
            tunnel = action.connect.tunnel(stream, cluster, endpoint) if action.connect is not None else None
            pool = tunnel or self._pool_of(endpoint)
        if pool is None:
            self._refuse(LocalReply(503, b"no healthy upstream", "no_healthy_upstream", flag="UH"))
            return
        if action.auto_host_rewrite:
            action.rewrite_host(self.router, stream, pool.endpoint)
        self.pool = pool
        client = pool.take(self)
        if client is not None:
            stream.endpoint = endpoint
            self._send(client)
        elif not self._over:
            # Limits have not refused it.
            stream.endpoint = endpoint
            self._asked = stream.manager.loop.time()

    def _pool_of(self, endpoint: Endpoint) -> UpstreamPool | None:
        stream = self.stream
        return self.cluster.pool_for(stream, endpoint, self.action.priority, stream.protocol)

    def _refuse(self, reply: LocalReply) -> None:
        stream = self.stream
        stream.upstream = None
        self._charge_failure(reply.status)
        self.action.answer(self.stream, reply)

    # ---- towards the upstream ----

    def on_ready(self, client: UpstreamStream) -> None:
        """The connection that was waited for is there: the request goes out."""
        self._note_wait()
        self._send(client)
        client.flush()

    def _send(self, client: UpstreamStream) -> None:
        stream = self.stream
        if not self.counted and not self._begin():
            client.pool.release(client)
            self.on_reset(OVERFLOW, "")
            return
        self.client = client
        stream.upstream_connection = client.connection
        request = stream.request
        tunnel = request.protocol is not None or request.method == "CONNECT"
        if client.requests and not self._repeated and not tunnel and request.method in _IDEMPOTENT:
            self._kept = []
        if tunnel and self._held is None:
            self._held = []
        client.send_headers(self, request, self.headers_end)
        if not tunnel and (self._held is not None or self.trailers is not None):
            self._send_held()

    def send_data(self, data: bytes, end: bool) -> None:
        client = self.client
        if client is None or self._held is not None:
            self._hold(data, end)
            return
        if self._kept is not None:
            self._keep(data, end)
        client.send_data(data, end)

    def send_trailers(self, trailers: Headers) -> None:
        self.trailers = trailers
        if self.client is not None and self._held is None:
            self.client.send_trailers(trailers)

    def flush(self) -> None:
        if self.client is not None:
            self.client.flush()

    def on_read(self) -> None:
        self.stream.server.flush(self.stream)

    def abort(self) -> None:
        """The stream needs the answer no more."""
        client = self.client
        if client is not None:
            if client.attempt is self:
                client.abandon()
        elif self.pool is not None:
            self.pool.forget(self)
        self._end()

    def pause_reading(self) -> None:
        if self.client is not None and self.client.attempt is self:
            self.cluster.stats.upstream_flow_control_paused_reading_total += 1
            self.client.pause_reading()

    def resume_reading(self) -> None:
        if self.client is not None and self.client.attempt is self:
            self.cluster.stats.upstream_flow_control_resumed_reading_total += 1
            self.client.resume_reading()

    # ---- from the upstream ----

    def on_informational(self, headers: ResponseHeaders) -> None:
        if self._heard:
            # As in Envoy, only the first one counts and goes on.
            return
        if self.router.dynamic_stats:
            charge(self.stream, self.cluster, self.stream.endpoint, headers.status, headers)
        self._heard = True
        # Otherwise the client was told to go on when its request came.
        if self.stream.manager.proxy_100_continue:
            self.stream.respond_informational(headers)

    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        """A whole response in one read."""
        if self.stream.upgraded and self._handshake_failed(headers):
            return
        self._take_headers(headers, not body)
        stream = self.stream
        stream.upstream = None
        self._end()
        if stream.request_complete and self._responses:
            elapsed = round((stream.response_started_at - stream.request_done_at) * 1000)
            for responses in self._responses:
                responses.time.record(elapsed)
        stream.respond(headers, body)

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        if self.stream.upgraded and self._handshake_failed(headers):
            return
        self._take_headers(headers, end)
        if end:
            self._ended()
        self.stream.respond_headers(headers, end)

    def _handshake_failed(self, headers: ResponseHeaders) -> bool:
        """A WebSocket handshake that is answered with neither 101 nor an error: the client gets the head alone."""
        stream = self.stream
        if headers.status == 101 or headers.status >= 400 or stream.request.protocol != "websocket":
            return False
        if stream.upstream_connection.protocol == "HTTP/2":
            # There it is an answer like any other.
            return False
        headers.remove_if(_OF_BODY)
        stream.response_started_at = stream.manager.loop.time()
        stream.details = "websocket_handshake_unsuccessful"
        self.abort()
        stream.upstream = None
        stream.respond(headers, b"")
        return True

    def _take_headers(self, headers: ResponseHeaders, end: bool) -> None:
        stream = self.stream
        self._heard = True
        self._kept = None
        now = stream.manager.loop.time()
        stream.last_activity = stream.response_started_at = now
        router = self.router
        if router.dynamic_stats:
            self._responses = charge(stream, self.cluster, stream.endpoint, headers.status, headers)
        if stream.request_complete and not router.suppress_envoy_headers:
            elapsed = str(round((now - stream.request_done_at) * 1000))
            if "x-envoy-upstream-service-time" in headers.index:
                headers.set("x-envoy-upstream-service-time", elapsed)
            else:
                headers.add_new(("x-envoy-upstream-service-time", elapsed))
        monitor = stream.endpoint.monitor
        if monitor is not None:
            monitor.on_headers(stream.request, headers)
        if headers.status < 500:
            if "content-type" in stream.request.index and is_grpc(stream.request):
                if end or "grpc-status" in headers.index:
                    count_grpc(stream.endpoint, headers)
                else:
                    self._grpc = True
            else:
                stream.endpoint.stats.rq_success += 1
        stream.details = "via_upstream"
        action = self.action
        if action.attempt_count_in_response:
            headers.set("x-envoy-attempt-count", str(stream.attempts))
        edits = stream.route.response_edits
        if edits:
            # What the edits say may depend on the response.
            stream.response = headers
            for edit in edits:
                edit(stream, headers)
        if self._held is not None and self.client is not None and self.client.tunnel:
            self._send_held()

    def on_data(self, data: bytes, end: bool) -> None:
        if end:
            self._ended()
        self.stream.respond_data(data, end)

    def on_trailers(self, trailers: Headers) -> None:
        if self._grpc:
            self._grpc = False
            count_grpc(self.stream.endpoint, trailers)
        endpoint = self.stream.endpoint
        if endpoint is not None and endpoint.cluster is not None and endpoint.cluster.load_reports is not None:
            endpoint.cluster.load_reports(endpoint, trailers)
        self._ended()
        self.stream.respond_trailers(trailers)

    def on_reset(self, failure: Failure, reason: str) -> None:
        """The try is over without (the whole of) a response; reason: what the socket or TLS said, or ""."""
        if failure is CONNECTION_TERMINATED and self._repeat():
            return
        stream = self.stream
        self._over = True
        if self.client is None:
            self._note_wait()
        self._end()
        if self.pool is not None and failure is not OVERFLOW and (monitor := self.pool.endpoint.monitor) is not None:
            monitor.on_failure()
        stream.upstream = None
        stream.upstream_failure = reason
        if stream.response is None:
            reply = upstream_failure(failure, reason, stream.attempts > 1)
            if self._heard:
                # A 1xx counts as the beginning of an answer, and was counted.
                reply.details = details_after_start(failure)
            else:
                self._charge_failure(reply.status)
            self.action.answer(self.stream, reply)
            return
        stream.add_flag(failure.flag)
        stream.details = details_after_start(failure)
        stream.reset()

    def on_timeout(self, reply: LocalReply) -> None:
        """The stream's time is over while this try runs: `reply` is sent instead of its answer."""
        self.note_timeout(reply.status)
        self.action.answer(self.stream, reply)

    def on_duration_reached(self, reply: LocalReply) -> None:
        """The cluster's max_stream_duration is over."""
        self.action.answer(self.stream, reply)

    def note_timeout(self, status: int) -> None:
        assert self.pool is not None
        self.pool.endpoint.stats.rq_timeout += 1
        self.cluster.stats.upstream_rq_timeout += 1
        for stats in self.stream.extra_stats:
            stats.upstream_rq_timeout += 1
        if self.stream.response is None:
            if not self.timeout_told and (monitor := self.pool.endpoint.monitor) is not None:
                monitor.on_timeout(status)
            self._charge_failure(status)

    def on_write_paused(self) -> None:
        self._paused = True
        self.stream.server.pause_reading(self.stream)

    def on_write_resumed(self) -> None:
        self._paused = False
        self.stream.server.resume_reading(self.stream)

    # ---- bodies that wait ----

    def _hold(self, data: bytes, end: bool) -> None:
        if self._held is None:
            self._held = []
        self._held.append((data, end))
        limit = self.stream.manager.buffer_limit
        if self._held_size <= limit < self._held_size + len(data):
            self.stream.server.pause_reading(self.stream)
        self._held_size += len(data)

    def _send_held(self) -> None:
        held, self._held = self._held, None
        if self._held_size > self.stream.manager.buffer_limit:
            self.stream.server.resume_reading(self.stream)
        self._held_size = 0
        for data, end in held or ():
            self.send_data(data, end)
        if self.trailers is not None:
            self.send_trailers(self.trailers)

    def _keep(self, data: bytes, end: bool) -> None:
        assert self._kept is not None
        self._kept_size += len(data)
        if self._kept_size > self.stream.manager.buffer_limit:
            self._kept = None
        else:
            self._kept.append((data, end))

    def _repeat(self) -> bool:
        """A connection that had served before died without a byte of an answer: it was stale, the request was not seen.

        Envoy leaves that to a retry policy; here the request goes out once more on a new connection where that is safe.
        """
        client, kept = self.client, self._kept
        if client is None or kept is None or self._heard or client.response_started:
            return False
        pool = self._pool_of(client.pool.endpoint)
        if pool is None or not pool.take_fresh(self):
            return False
        self.pool = pool
        self._repeated = True
        self.client = None
        self._kept = None
        if self._paused:
            self.on_write_resumed()
        for data, end in kept:
            self._hold(data, end)
        return True

    # ---- counting ----

    def _note_wait(self) -> None:
        """A connection is there, or there will be none."""
        if self._asked:
            self.stream.pool_wait = self.stream.manager.loop.time() - self._asked

    def _begin(self) -> bool:
        """False where the cluster has as many requests as it may have."""
        pool = self.pool
        assert pool is not None
        if not pool.begin():
            return False
        self.counted = True
        monitor = pool.endpoint.monitor
        if monitor is not None:
            monitor.on_connected()
        stream = self.stream
        if stream.extra_stats:
            for extra in stream.extra_stats:
                extra.upstream_rq_total += 1
        if self.cluster.pool_settings.max_stream_duration or stream.asked is not None:
            limit_duration(self)
        return True

    def _end(self) -> None:
        if self.counted:
            self.counted = False
            pool = self.pool
            assert pool is not None
            pool.end()
            if self.cluster.pool_settings.max_stream_duration or self.stream.asked is not None:
                forget_duration(self)

    def _charge_failure(self, status: int) -> None:
        """`status`: what the client gets from us instead of an answer."""
        if not self.router.dynamic_stats:
            return
        endpoint = self.stream.endpoint
        charge(self.stream, self.cluster, endpoint, status)
        if status < 500 and endpoint is not None:
            endpoint.stats.rq_error += 1

    def _ended(self) -> None:
        """The response is whole."""
        stream = self.stream
        stream.upstream = None
        self._end()
        if stream.request_complete:
            elapsed = round((stream.manager.loop.time() - stream.request_done_at) * 1000)
            for responses in self._responses:
                responses.time.record(elapsed)
