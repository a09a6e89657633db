"""What health checks by HTTP and by gRPC have in common: one exchange after the other on a connection that stays."""

from typing import Any

from meshproxy.http.failures import PROTOCOL_ERROR, Failure
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.upstream.health.connections import CheckConnections
from meshproxy.upstream.health.session import NETWORK, Session
from meshproxy.upstream.pool import Pool
from meshproxy.upstream.sides import UpstreamStream


class ExchangeProbe:
    """Subclasses say what is asked (`request`, `body`) and what the answer means (`on_headers` and so on).

    reuse: one connection serves all checks.
    """

    # What connections ask of the stream whose exchange this is.
    upstream_meter: Any = None
    protocol = "HTTP/2"

    def __init__(self, session: Session, connections: CheckConnections, reuse: bool) -> None:
        self.session = session
        self.endpoint = session.endpoint
        self._connections = connections
        self._reuse = reuse
        self._double = connections.double(session.endpoint)
        self.scheme = connections.scheme(self._double)
        self._pool: Pool | None = None
        self._client: UpstreamStream | None = None
        self._begun = False
        # A check is on.
        self.waiting = False

    @property
    def stream(self) -> "ExchangeProbe":
        return self

    @property
    def connected(self) -> bool:
        """The check has its connection."""
        return self._client is not None

    # ---- for subclasses ----

    def request(self) -> RequestHeaders:
        raise NotImplementedError

    def body(self) -> bytes:
        return b""

    def over(self) -> None:
        """The answer is complete, or wanted no more: before the session is told what it means."""
        self.waiting = False
        pool, self._pool, self._client = self._pool, None, None
        if pool is not None:
            if self._begun:
                self._begun = False
                pool.end()
            if not self._reuse:
                pool.retire()

    def reset(self) -> None:
        """The rest of the answer is wanted no more."""
        if self._client is not None and self._client.attempt is self:
            self._client.abandon()
        self.over()

    # ---- as a probe ----

    def begin(self) -> None:
        if self._double.address != self.endpoint.check_address:
            self._disconnect()
            self._double = self._connections.double(self.endpoint)
            self.scheme = self._connections.scheme(self._double)
        self.waiting = True
        pool = self._pool = self._connections.pool(self._double)
        client = pool.take(self)
        if client is not None:
            self.on_ready(client)

    def timed_out(self) -> None:
        self._give_up()
        self._disconnect()

    def close(self) -> None:
        self._give_up()
        self._disconnect()

    def _give_up(self) -> None:
        if not self.waiting:
            return
        if self._client is None and self._pool is not None:
            self._pool.forget(self)
        self.reset()

    def _disconnect(self) -> None:
        for pool in self._double.pools:
            if pool is not None:
                pool.close()

    # ---- from the pool ----

    def on_ready(self, client: Any) -> None:
        assert self._pool is not None
        self._begun = self._pool.begin()
        self._client = client
        request, body = self.request(), self.body()
        client.send_headers(self, request, not body)
        if body:
            client.send_data(body, True)
        client.flush()

    def on_reset(self, failure: Failure, reason: str) -> None:
        if failure is PROTOCOL_ERROR:
            self._connections.cluster.stats.upstream_cx_protocol_error += 1
        self.over()
        self.session.failed(NETWORK)

    # ---- from the stream ----

    def on_informational(self, headers: ResponseHeaders) -> None: ...
    def on_read(self) -> None: ...
    def on_write_paused(self) -> None: ...
    def on_write_resumed(self) -> None: ...

    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        self.on_headers(headers, not body)
        if body and self.waiting:
            self.on_data(body, True)

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        raise NotImplementedError

    def on_data(self, data: bytes, end: bool) -> None:
        raise NotImplementedError

    def on_trailers(self, trailers: Headers) -> None:
        raise NotImplementedError
