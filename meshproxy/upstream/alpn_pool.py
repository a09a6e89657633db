"""Connections to one endpoint that speak what TLS agrees on: HTTP/2, or HTTP/1 (auto_config; ALPN of RFC 7301)."""

import asyncio
from typing import Any

from meshproxy.observe.demand import DEMAND
from meshproxy.upstream.http1_client import Http1Client
from meshproxy.upstream.http1_metered import MeteredHttp1Client
from meshproxy.upstream.http2_client import Http2Client
from meshproxy.upstream.http2_exchange import Http2Exchange
from meshproxy.upstream.http2_pool import Http2Pool


class AlpnPool(Http2Pool):
    """A pool of HTTP/2 in which a connection may be of HTTP/1: that one serves one exchange at a time."""

    __slots__ = ()

    alpn = ("h2", "http/1.1")

    def release(self, client: Any) -> None:
        if isinstance(client, Http2Exchange):
            client.unused()
            return
        if 0 < self.settings.max_requests <= client.requests:
            self.stats.upstream_cx_max_requests += 1
            self.clients.discard(client)
        self.stream_ended(client)

    def withhold(self, client: Any) -> bool:
        """See Http1Pool."""
        if not client.is_ready:
            return False
        self._drop(client)
        self.streams += 1
        client.active = 1
        return True

    def lost(self, client: Any, busy: bool, local: bool) -> None:
        if isinstance(client, Http1Client):
            # Of HTTP/2, each exchange says so itself.
            self.streams -= client.active  # type: ignore[attr-defined]
        super().lost(client, busy, local)

    def agreed(self, start: "Unagreed", transport: Any) -> None:
        """The handshake is done, and says what is spoken."""
        tls = transport.get_extra_info("ssl_object")
        client: Any
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            client = super()._make_client()
            super()._count_dial()
        else:
            client = (_MeteredSingle if DEMAND.wire else _Single)(self)
            self.stats.upstream_cx_http1_total += 1
        client.dial, client.dialled_at = start.dial, start.dialled_at
        transport.set_protocol(client)
        client.connection_made(transport)

    def _make_client(self) -> Any:
        return Unagreed(self)

    def _count_dial(self) -> None:
        """That comes with the handshake."""

    def _serve_with(self, client: Any) -> None:
        super()._serve_with(client)
        if self.waiting:
            # It serves fewer than was hoped for.
            self._connect()

    def _open_on(self, client: Any) -> Any:
        if isinstance(client, Http2Client):
            return super()._open_on(client)
        self.streams += 1
        client.active = 1
        self._drop(client)
        return client


class Unagreed(asyncio.Protocol):
    """On a transport until it is known what is spoken there."""

    def __init__(self, pool: AlpnPool) -> None:
        self._pool = pool
        self.dial: Any = None
        self.dialled_at = 0.0

    def connection_made(self, transport: Any) -> None:
        self._pool.agreed(self, transport)


class _Single(Http1Client):
    """What a pool of HTTP/2 asks of a connection."""

    __slots__ = ("active", "is_ready")

    limit = 1

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self.active = 0
        self.is_ready = False

    def close(self) -> None:
        self.pool.leave(self)  # type: ignore[attr-defined]
        super().close()


class _MeteredSingle(MeteredHttp1Client):
    """The same, counted."""

    __slots__ = ("active", "is_ready")

    limit = 1

    def __init__(self, pool: Any) -> None:
        super().__init__(pool)
        self.active = 0
        self.is_ready = False

    def close(self) -> None:
        self.pool.leave(self)  # type: ignore[attr-defined]
        super().close()
