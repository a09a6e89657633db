"""TLS towards upstreams: what dialling needs to know of it, and its connections."""

import asyncio
import ssl
from typing import Any

from meshproxy.net.tls_transport import TlsTransport


class UpstreamTls:
    """envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext. `context` is for connections from now on."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self.context = context
        self.server_name = server_name

    def protect(self, inner: Any, ready: "asyncio.Future[None]") -> "TlsClient":
        """A protocol for the socket's transport. `ready` is done once `inner` has its transport, or fails."""
        return TlsClient(self, inner, ready)


class HandshakeError(Exception):
    """reason: as Envoy's %UPSTREAM_TRANSPORT_FAILURE_REASON% has it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TlsClient(TlsTransport):
    """One connection to an upstream."""

    __slots__ = ("_ready",)

    def __init__(self, settings: UpstreamTls, inner: Any, ready: "asyncio.Future[None]") -> None:
        super().__init__(settings.context, inner, settings.server_name or None, server=False)
        self._ready = ready

    def established(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def failed(self, reason: str) -> None:
        if not self._ready.done():
            self._ready.set_exception(HandshakeError(reason))
