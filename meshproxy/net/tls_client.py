"""TLS towards upstreams (envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext)."""

import asyncio
import ssl
from collections import deque
from dataclasses import replace
from typing import Any

from meshproxy.net.dial import DialError
from meshproxy.net.openssl import TlsContext
from meshproxy.net.tls_context import make_client_context
from meshproxy.net.tls_live import LiveTls, Loader
from meshproxy.net.tls_settings import TlsSettings
from meshproxy.net.tls_transport import TlsTransport
from meshproxy.net.tls_words import NO_SECRET, failure_words, lost_words, reason_of
from meshproxy.net.transport_options import Secured


class UpstreamTls(LiveTls):
    """server_name: SNI where a connection has none of its own. max_sessions: kept for resumption, of each kind."""

    def __init__(self, loader: Loader, name: str, server_name: str = "", max_sessions: int = 1) -> None:
        self.server_name = server_name
        self.max_sessions = max_sessions
        # auto_host_sni, auto_sni_san_validation.
        self.host_is_server_name = False
        self.expects_server_name = False
        # By the protocols that are offered.
        self._contexts: dict[tuple[str, ...], TlsContext] = {}
        # Sessions are of use to connections with the same options, whose peer has to have the same names.
        self._sessions: dict[Any, deque[ssl.SSLSession]] = {}
        super().__init__(loader, name)

    def make(self, settings: TlsSettings) -> None:
        self._contexts = {settings.alpn: make_client_context(settings)}
        self._sessions.clear()

    def context(self, secured: Secured) -> TlsContext:
        """Raises DialError while a secret is missing."""
        settings = self.settings
        if settings is None:
            self.factory_stats.upstream_context_secrets_not_ready += 1
            raise DialError(NO_SECRET)
        alpn = secured.options.alpn or settings.alpn or secured.fallback_alpn
        context = self._contexts.get(alpn)
        if context is None:
            context = self._contexts[alpn] = make_client_context(replace(settings, alpn=alpn))
        return context

    def protect(self, inner: Any, ready: "asyncio.Future[None]", secured: Secured) -> "TlsClient":
        """A protocol for the socket's transport. `ready` is done once `inner` has its transport, or fails."""
        return TlsClient(self, self.context(secured), inner, ready, secured)

    def take_session(self, key: Any) -> ssl.SSLSession | None:
        kept = self._sessions.get(key)
        if not kept:
            return None
        # A ticket of TLS 1.3 is for one connection; older sessions may serve again, and are kept again when they do.
        return kept.pop()

    def keep_session(self, key: Any, session: ssl.SSLSession) -> None:
        if self.max_sessions:
            kept = self._sessions.get(key)
            if kept is None:
                kept = self._sessions[key] = deque(maxlen=self.max_sessions)
            kept.append(session)


class TlsClient(TlsTransport):
    """One connection to an upstream."""

    __slots__ = ("_context", "_live", "_ready", "_secured", "_server_name")

    def __init__(
        self, live: UpstreamTls, context: TlsContext, inner: Any, ready: "asyncio.Future[None]", secured: Secured
    ) -> None:
        self._live = live
        self._context = context
        self._secured = secured
        self._ready = ready
        hostname = secured.hostname if live.host_is_server_name else ""
        self._server_name = secured.options.server_name or hostname or live.server_name
        session = live.take_session(self._key) if live.max_sessions else None
        super().__init__(context, inner, _as_name(self._server_name), session, server=False)
        self._fresh = live.max_sessions > 0

    @property
    def expected(self) -> tuple[str, ...]:  # type: ignore[override]
        names = self._secured.options.names
        if not names and self._live.expects_server_name and self._server_name:
            return (self._server_name,)
        return names

    @property
    def expected_of_sni(self) -> bool:  # type: ignore[override]
        return not self._secured.options.names

    @property
    def _key(self) -> Any:
        """Sessions made with it are of use to connections that have the same."""
        return id(self._context), self.expected, self._server_name

    def established(self) -> None:
        self._live.stats.shaken(self)
        self.tell(self._live.peers, "outbound")
        if not self._ready.done():
            self._ready.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._live.peers.gone(self)
        super().connection_lost(error)

    def session_came(self, with_data: bool) -> None:
        session = self.tls.session
        if session is not None and (session.has_ticket or session.id):
            self._live.keep_session(self._key, session)
            self._fresh = False
        elif with_data:
            self._fresh = False

    def failed(self, error: Exception | None) -> None:
        if isinstance(error, ssl.SSLError):
            self._live.stats.broken(reason_of(error), self)
            words = failure_words(error, self.facts.verdict, not self.facts.cipher)
        else:
            words = lost_words(error)
        if not self._ready.done():
            self._ready.set_exception(DialError(words))


def _as_name(server_name: str) -> str | None:
    """What Python's ssl module takes; it reads letters outside ASCII as IDNA, and dots in front as an error."""
    return server_name or None
