"""TLS towards clients: the context of a filter chain, and its connections."""

import ssl
from typing import Any

from meshproxy.net.connection import Connection
from meshproxy.net.tls_transport import TlsTransport


class DownstreamTls:
    """envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext. `context` serves connections from now on."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def protect(self, connection: Connection, inner: Any) -> "TlsServer":
        """A protocol for the socket's transport, with `inner` behind it."""
        return TlsServer(self, connection, inner)


class TlsServer(TlsTransport):
    """One connection from a client."""

    __slots__ = ("_connection",)

    def __init__(self, settings: DownstreamTls, connection: Connection, inner: Any) -> None:
        super().__init__(settings.context, inner, server=True)
        self._connection = connection

    def established(self) -> None:
        connection = self._connection
        connection.tls = self.tls
        connection.alpn = self.tls.selected_alpn_protocol() or ""

    def failed(self, reason: str) -> None:
        self._connection.transport_failure = reason
