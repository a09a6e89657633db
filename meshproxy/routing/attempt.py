"""One try of one stream on one endpoint (Envoy's UpstreamRequest)."""

import asyncio
from typing import TYPE_CHECKING

from meshproxy.http.failures import OVERFLOW, Failure, details_after_start, upstream_failure
from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.http1_client import Http1Client

if TYPE_CHECKING:
    from meshproxy.routing.forward import Forward


class Attempt:
    """Lives from the choice of an endpoint until the response ended or was given up."""

    __slots__ = ("_body", "action", "client", "cluster", "counted", "endpoint", "headers_end", "started", "stream",
                 "trailers", "transport_reason")  # fmt: skip

    def __init__(self, stream: Stream, cluster: Cluster, action: "Forward") -> None:
        self.stream = stream
        self.cluster = cluster
        self.action = action
        self.endpoint: Endpoint | None = None
        self.client: Http1Client | None = None
        self.started = 0.0
        self.counted = False
        self.headers_end = False
        self.transport_reason = ""
        # Body that came before the connection was there.
        self._body: list[tuple[bytes, bool]] | None = None
        self.trailers: Headers | None = None

    def start(self, end: bool) -> None:
        stream = self.stream
        cluster = self.cluster
        self.headers_end = end
        endpoint = cluster.balancer.pick(stream)
        if endpoint is None:
            cluster.stats.upstream_cx_none_healthy += 1
            stream.upstream = None
            stream.reply(LocalReply(503, b"no healthy upstream", "no_healthy_upstream", flag="UH"))
            return
        self.endpoint = stream.endpoint = endpoint
        stream.attempts += 1
        client = cluster.pool(endpoint).take(self)
        if client is not None:
            self.on_ready(client)

    # ---- towards the upstream ----

    def on_ready(self, client: Http1Client) -> None:
        """A connection is there: the request goes out."""
        cluster = self.cluster
        endpoint = self.endpoint
        limits = cluster.limits[0]
        assert endpoint is not None
        if limits.requests >= limits.max_requests:
            client.pool.release(client)
            self.on_reset(OVERFLOW, "")
            return
        stats = cluster.stats
        limits.requests += 1
        stats.upstream_rq_total += 1
        stats.upstream_rq_active += 1
        endpoint.stats.rq_total += 1
        endpoint.stats.rq_active += 1
        self.counted = True
        self.client = client
        stream = self.stream
        self.started = stream.last_activity
        client.send_headers(self, stream.request, self.headers_end)
        body, self._body = self._body, None
        if body is not None:
            stream.server.resume_reading(stream)
            for data, end in body:
                client.send_data(data, end)
        if self.trailers is not None:
            client.send_trailers(self.trailers)

    def send_data(self, data: bytes, end: bool) -> None:
        client = self.client
        if client is not None:
            client.send_data(data, end)
            return
        if self._body is None:
            self._body = []
            self.stream.server.pause_reading(self.stream)
        self._body.append((data, end))

    def send_trailers(self, trailers: Headers) -> None:
        if self.client is not None:
            self.client.send_trailers(trailers)
        else:
            self.trailers = trailers

    def abort(self) -> None:
        """The stream needs the answer no more."""
        if self.client is not None:
            if self.client.attempt is self:
                self.cluster.stats.upstream_rq_cancelled += 1
                self.client.abandon()
        elif self.endpoint is not None:
            self.cluster.stats.upstream_rq_cancelled += 1
            self.cluster.pool(self.endpoint).forget(self)
        self._uncount()

    def pause_reading(self) -> None:
        if self.client is not None and self.client.attempt is self:
            self.client.pause_reading()

    def resume_reading(self) -> None:
        if self.client is not None and self.client.attempt is self:
            self.client.resume_reading()

    # ---- from the upstream ----

    def on_informational(self, headers: ResponseHeaders) -> None:
        return

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        stream = self.stream
        now = asyncio.get_running_loop().time()
        stream.last_activity = stream.response_started_at = now
        elapsed = round((now - self.started) * 1000)
        status = headers.status
        codes = self.cluster.codes
        codes[status] = codes.get(status, 0) + 1
        self.cluster.stats.upstream_rq_completed += 1
        self.cluster.stats.upstream_rq_time.record(elapsed)
        headers.set("x-envoy-upstream-service-time", str(elapsed))
        for edit in stream.route.response_edits:
            edit(stream, headers)
        stream.details = "via_upstream"
        if end:
            self._ended()
        stream.respond_headers(headers, end)

    def on_data(self, data: bytes, end: bool) -> None:
        if end:
            self._ended()
        self.stream.respond_data(data, end)

    def on_trailers(self, trailers: Headers) -> None:
        self._ended()
        self.stream.respond_trailers(trailers)

    def on_reset(self, failure: Failure, reason: str) -> None:
        stream = self.stream
        self.transport_reason = stream.upstream_failure = reason
        self._uncount()
        stream.upstream = None
        if stream.response is None:
            stream.reply(upstream_failure(failure, reason, False))
            return
        stream.add_flag(failure.flag)
        stream.details = details_after_start(failure)
        stream.reset()

    def on_write_paused(self) -> None:
        self.stream.server.pause_reading(self.stream)

    def on_write_resumed(self) -> None:
        self.stream.server.resume_reading(self.stream)

    def _ended(self) -> None:
        self.stream.upstream = None
        endpoint = self.endpoint
        assert endpoint is not None
        endpoint.stats.rq_success += 1
        self._uncount()

    def _uncount(self) -> None:
        if self.counted:
            self.counted = False
            endpoint = self.endpoint
            assert endpoint is not None
            self.cluster.limits[0].requests -= 1
            self.cluster.stats.upstream_rq_active -= 1
            endpoint.stats.rq_active -= 1
