"""A CONNECT that ends here: plain TCP to an endpoint, dressed as an exchange (Envoy's TcpUpstream).

For an attempt it is both the pool that it asks for a connection and the connection that it gets: each serves one
request, answers it with 200 once the endpoint has accepted, and then passes bytes as they are.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from meshproxy.http.failures import (
    CONNECT_FAILED,
    CONNECT_TIMEOUT,
    CONNECTION_TERMINATED,
    LOCAL_CONNECT_FAILED,
    OVERFLOW,
)
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.http.meter import Meter
from meshproxy.net.connection import Connection
from meshproxy.net.dial import DialError
from meshproxy.net.tasks import start_task
from meshproxy.upstream.sides import Exchange, Waiting
from meshproxy.upstream.tcp_connection import TcpConnection

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.endpoint import Endpoint


class TcpTunnel(asyncio.Protocol):
    """header: bytes that go first (a PROXY header), or none. client: whom it serves."""

    __slots__ = (
        "_client", "_closing", "_connection", "_header", "_meter", "_said", "_task", "_waiting", "attempt", "cluster",
        "connected_at", "dialled_at", "endpoint", "id", "local", "tls", "transport",
    )  # fmt: skip

    # What an attempt asks of an HTTP client.
    tunnel = True
    requests = 0
    response_started = True
    # %UPSTREAM_PROTOCOL%
    protocol: str | None = None

    def __init__(self, cluster: "Cluster", endpoint: "Endpoint", header: bytes, client: Connection) -> None:
        self.cluster = cluster
        self.endpoint = endpoint
        self._header = header
        self._client = client
        self._connection: TcpConnection | None = None
        self._task: asyncio.Task[Any] | None = None
        # Closed from here; and: nothing more will be written.
        self._closing = self._said = False
        # The attempt that asked for the connection, until it is there.
        self._waiting: Waiting | None = None
        self.attempt: Exchange | None = None
        self.transport: Any = None
        self._meter = Meter()
        # Of the connection, once it is there.
        self.local = ("", 0)
        self.tls: Any = None
        self.id = 0
        self.dialled_at = self.connected_at = 0.0

    # ---- as a pool ----

    @property
    def connection(self) -> "TcpTunnel":
        return self

    @property
    def pool(self) -> "TcpTunnel":
        return self

    def take(self, attempt: Waiting) -> None:
        self._task = start_task(self._open(attempt), "dial for a tunnel")

    def take_fresh(self, attempt: Waiting) -> bool:
        """Nothing of it is ever used twice."""
        return False

    def forget(self, attempt: Waiting) -> None:
        if self._waiting is not None:
            self._waiting = None
        elif self._task is not None:
            self._task.cancel()

    def begin(self) -> bool:
        """The connection counts as a request for as long as it lives."""
        return True

    def end(self) -> None: ...

    def release(self, client: "TcpTunnel") -> None: ...

    async def _open(self, attempt: Waiting) -> None:
        loop = asyncio.get_running_loop()
        if not self._is_within_limits():
            self.cluster.stats.upstream_rq_pending_overflow += 1
            attempt.on_reset(OVERFLOW, "")
            return
        client = self._client
        connection = self._connection = TcpConnection(loop, self.cluster, self.endpoint, client.upstream_source, client)
        self._waiting = attempt
        try:
            await connection.connect(self)
        except DialError as error:
            self._waiting = None
            failure = CONNECT_TIMEOUT if error.timeout else LOCAL_CONNECT_FAILED if error.local else CONNECT_FAILED
            attempt.on_reset(failure, error.reason)

    def _is_within_limits(self) -> bool:
        limits = self.cluster.limits[0]
        if not limits.pending.take():
            return False
        if limits.connections.take():
            return True
        limits.pending.give()
        return False

    # ---- as a client ----

    def send_headers(self, attempt: Exchange, request: RequestHeaders, end: bool) -> None:
        self.attempt = attempt
        attempt.stream.upstream_meter = self._meter
        if self._header:
            self.send_data(self._header, False)
        attempt.on_headers(ResponseHeaders(200, []), False)
        if end:
            self.send_data(b"", True)

    def send_data(self, data: bytes, end: bool) -> None:
        if self._closing:
            return
        if data:
            self._meter.wire_sent += len(data)
            self.cluster.stats.upstream_cx_tx_bytes_total += len(data)
            self.transport.write(data)
        if end:
            self._said = True
            self.transport.write_eof()

    def send_trailers(self, trailers: Headers) -> None:
        self.send_data(b"", True)

    def flush(self) -> None: ...

    def abandon(self) -> None:
        self.attempt = None
        if not self._closing:
            self._closing = True
            self.transport.close()

    def pause_reading(self) -> None:
        if not self._closing:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._closing:
            self.transport.resume_reading()

    # ---- the transport's callbacks ----

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        connection = self._connection
        assert connection is not None
        self.local, self.id, self.tls = connection.local or self.local, connection.id, connection.tls
        self.dialled_at, self.connected_at = connection.dialled_at, connection.connected_at
        transport.set_write_buffer_limits(high=self.cluster.pool_settings.buffer_limit)
        waiting, self._waiting, self._task = self._waiting, None, None
        if waiting is None:
            self.abandon()
        else:
            waiting.on_ready(self)

    def data_received(self, data: bytes) -> None:
        self._meter.wire_received += len(data)
        self.cluster.stats.upstream_cx_rx_bytes_total += len(data)
        if self.attempt is not None:
            self.attempt.on_data(data, False)
            if self.attempt is not None:
                self.attempt.on_read()

    def eof_received(self) -> bool:
        """The whole of a response: this side ends the connection, unless it has said all before."""
        attempt = self.attempt
        if self._said:
            self.attempt = None
        else:
            self.abandon()
        if attempt is not None:
            attempt.on_data(b"", True)
        return False

    def connection_lost(self, error: Exception | None) -> None:
        local, self._closing = self._closing, True
        assert self._connection is not None
        self._connection.closed(local)
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.on_reset(CONNECTION_TERMINATED, "")

    def pause_writing(self) -> None:
        if self.attempt is not None:
            self.attempt.on_write_paused()

    def resume_writing(self) -> None:
        if self.attempt is not None:
            self.attempt.on_write_resumed()
