"""TLS towards clients (envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext): contexts and connections."""

import asyncio
import ssl
from typing import Any

from meshproxy.net.connection import Connection
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.net.tls_context import ServerContexts
from meshproxy.net.tls_live import LiveTls, Loader
from meshproxy.net.tls_settings import TlsSettings
from meshproxy.net.tls_transport import TlsTransport
from meshproxy.net.tls_words import NO_SECRET, failure_words, lost_words, reason_of

_TIMED_OUT = "transport_socket_timeout"


class DownstreamTls(LiveTls):
    """timeout: transport_socket_connect_timeout in seconds, 0 for none."""

    def __init__(self, loop: asyncio.AbstractEventLoop, loader: Loader, name: str, timeout: float = 0.0) -> None:
        self.loop = loop
        self._contexts: ServerContexts | None = None
        self.shaking = TimeoutQueue(loop, timeout, TlsServer.expire) if timeout else None
        super().__init__(loader, name)

    def make(self, settings: TlsSettings) -> None:
        self._contexts = ServerContexts(settings)

    def protect(self, connection: Connection, inner: Any) -> asyncio.Protocol:
        """A protocol for the socket's transport, with `inner` behind it."""
        if self._contexts is None:
            self.factory_stats.downstream_context_secrets_not_ready += 1
            return NoSecret(connection, inner)
        return TlsServer(self, self._contexts, connection, inner)


class TlsServer(TlsTransport):
    """One connection from a client."""

    __slots__ = ("_connection", "_live")

    def __init__(self, live: DownstreamTls, contexts: ServerContexts, connection: Connection, inner: Any) -> None:
        super().__init__(contexts.first, inner, server=True)
        self._live = live
        self._connection = connection
        connection.tls = self.facts

    def connection_made(self, transport: Any) -> None:
        if self._live.shaking is not None:
            self._live.shaking.add(self)
        super().connection_made(transport)

    def established(self) -> None:
        live, connection = self._live, self._connection
        if live.shaking is not None:
            live.shaking.discard(self)
        self.facts.handshake_ms = round((live.loop.time() - connection.started) * 1000)
        connection.alpn = self.facts.alpn
        live.stats.shaken(self)
        self.tell(live.peers, "inbound")

    def connection_lost(self, error: Exception | None) -> None:
        self._live.peers.gone(self)
        super().connection_lost(error)

    def failed(self, error: Exception | None) -> None:
        if self._live.shaking is not None:
            self._live.shaking.discard(self)
        if isinstance(error, ssl.SSLError):
            self._live.stats.broken(reason_of(error), self)
            words = failure_words(error, self.facts.verdict)
        else:
            words = lost_words(error)
        self._connection.transport_failure = words.replace(" ", "_")

    def expire(self) -> float:
        """The client takes too long to shake hands."""
        listener: Any = self._connection.listener
        listener.stats.downstream_cx_transport_socket_connect_timeout += 1
        connection = self._connection
        connection.local_close_reason = _TIMED_OUT
        if connection.record is not None:
            connection.record.downstream_failure = "transport socket timeout was reached"
        self.abort()
        return 0.0


class NoSecret(asyncio.Protocol):
    """Closes a connection whose TLS context lacks a secret; to what is inside a transport that writes nothing."""

    def __init__(self, connection: Connection, inner: Any) -> None:
        self._connection = connection
        self._inner = inner
        self._raw: Any = None

    def connection_made(self, transport: Any) -> None:
        self._raw = transport
        self._connection.transport_failure = NO_SECRET.replace(" ", "_")
        self._inner.connection_made(self)
        transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._inner.connection_lost(error)

    def write(self, data: bytes) -> None:
        """Nothing is said without TLS."""

    def writelines(self, parts: Any) -> None:
        """Nothing is said without TLS."""

    def write_eof(self) -> None:
        """The transport closes anyway."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
