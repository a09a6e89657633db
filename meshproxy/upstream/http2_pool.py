"""The HTTP/2 connections of one worker to one endpoint: many exchanges share each of them.

There is one connection until it has as many streams as it may have, by configuration or by the peer's SETTINGS; then
there are more. A connection that ends for others (GOAWAY, its number of requests, its duration) is replaced, and ends
with the streams that it still has.
"""

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from meshproxy.http.h2.keepalive import Keepalives
from meshproxy.net.dial import SocketOptions
from meshproxy.observe.demand import DEMAND
from meshproxy.upstream.http2_client import Http2Client
from meshproxy.upstream.http2_exchange import Http2Exchange
from meshproxy.upstream.http2_metered import MeteredHttp2Client
from meshproxy.upstream.pool import Pool
from meshproxy.upstream.sides import Waiting

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.endpoint import Endpoint


# Their numbers are odd, and have 31 bits.
_MOST_STREAMS = 1 << 30


class Http2Pool(Pool):
    """Of its connections, `ready` ones take more streams; the one that was ready last goes first."""

    __slots__ = ("keepalives", "limit", "ready", "streams")

    alpn: ClassVar[tuple[str, ...]] = ("h2",)

    def __init__(
        self, cluster: "Cluster", endpoint: "Endpoint", priority: int, socket_options: SocketOptions,
        source: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(cluster, endpoint, priority, socket_options, source)
        self.ready: list[Http2Client] = []
        # Streams of a connection, as far as is known: a new one has the limit that the peer told on the last one. (What
        # Envoy sends before the first SETTINGS of each connection, a peer with a small limit has to reset.)
        self.limit = self.settings.http2.max_concurrent_streams
        # PINGs, where they are configured.
        self.keepalives: Keepalives | None = None
        # Exchanges that are on, on all connections.
        self.streams = 0

    def take(self, attempt: Waiting) -> Http2Exchange | None:
        ready = self.ready
        if not ready:
            self.ask(attempt)
            return None
        exchange = self._open_on(ready[-1])
        if self.settings.preconnect_ratio > 1.0:
            self._connect()
        return exchange

    def release(self, client: Http2Exchange) -> None:
        client.unused()

    # ---- for connections ----

    def connected(self, client: Any) -> None:
        options = self.settings.http2
        if options.keepalive_timeout and isinstance(client, Http2Client):
            if self.keepalives is None:
                self.keepalives = Keepalives(asyncio.get_running_loop(), options, _not_there)
            if options.keepalive_interval:
                self.keepalives.start(client)
        super().connected(client)

    def lost(self, client: Any, busy: bool, local: bool) -> None:
        if self.keepalives is not None:
            self.keepalives.stop(client)
        super().lost(client, busy, local)

    def stream_ended(self, client: Http2Client) -> None:
        """One of its streams is over."""
        self.streams -= 1
        client.active -= 1
        loop = self._loop
        assert loop is not None
        client.last_used = loop.time()
        if client.closing:
            return
        if self.draining or client not in self.clients:
            if not client.active:
                client.close()
        elif not client.is_ready and client.active < client.limit:
            self._make_ready(client)

    def limit_changed(self, client: Http2Client) -> None:
        """The peer said how many streams it takes."""
        self.limit = client.limit
        if client not in self.clients:
            return
        if client.is_ready and client.active >= client.limit:
            self._drop(client)
        elif not client.is_ready and client.active < client.limit:
            self._make_ready(client)
        if self.waiting:
            self._connect()

    def going_away(self, client: Http2Client) -> None:
        """The peer takes no more streams on this connection (GOAWAY)."""
        self.stats.upstream_cx_close_notify += 1
        self._retire(client)

    def leave(self, client: Http2Client) -> None:
        """It takes no more streams."""
        self._drop(client)
        self.clients.discard(client)

    # ---- what the protocol says ----

    def capacity(self) -> int:
        each = self.limit
        if 0 < self.settings.max_requests < each:
            each = self.settings.max_requests
        return len(self.dialling) * each + sum([client.limit - client.active for client in self.ready])

    def active(self) -> int:
        return self.streams

    def is_idle(self, client: Http2Client) -> bool:
        return not client.active

    def _make_client(self) -> Http2Client:
        return (MeteredHttp2Client if DEMAND.wire else Http2Client)(self)

    def _count_dial(self) -> None:
        self.stats.upstream_cx_http2_total += 1
        self.stats.http2.nghttp2_upstream_connections += 1

    def _serve_with(self, client: Http2Client) -> None:
        self._make_ready(client)
        if self.draining and not client.active:
            client.close()

    def _make_ready(self, client: Http2Client) -> None:
        client.is_ready = True
        self.ready.append(client)
        waiting = self.waiting
        while waiting and client.is_ready:
            attempt = waiting.popleft()
            self._left_queue()
            attempt.on_ready(self._open_on(client))

    def _open_on(self, client: Http2Client) -> Http2Exchange:
        if self.keepalives is not None and not client.active and client.requests:
            self._ask_if_there(client, self.keepalives)
        self.streams += 1
        client.active += 1
        client.requests += 1
        if 0 < self.settings.max_requests <= client.requests:
            self.stats.upstream_cx_max_requests += 1
            self._retire(client)
        elif client.requests >= _MOST_STREAMS:
            self._retire(client)
        elif client.active >= client.limit:
            self._drop(client)
        return client.exchange(client)

    def _ask_if_there(self, client: Http2Client, keepalives: Keepalives) -> None:
        """A PING goes in front of the first stream after a while in which there was none (connection_idle_interval)."""
        idle = self.settings.http2.keepalive_idle
        assert self._loop is not None
        if idle and self._loop.time() - client.last_used > idle:
            keepalives.ping(client)

    def _retire(self, client: Http2Client) -> None:
        self.leave(client)
        if not client.active:
            client.close()

    def _drop(self, client: Http2Client) -> None:
        if client.is_ready:
            client.is_ready = False
            self.ready.remove(client)


def _not_there(connection: Any) -> None:
    connection.not_there()
