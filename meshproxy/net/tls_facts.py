"""What is known of a TLS connection, for logs, headers and matchers. Most of it is looked up when somebody asks."""

import ssl
from typing import TYPE_CHECKING

from meshproxy.net.certificate import Certificate, certificate
from meshproxy.net.openssl import certificate_of, group_of

if TYPE_CHECKING:
    from meshproxy.net.tls_verify import Verdict


class TlsFacts:
    """server_name: what a client has said by SNI. There from the start, and whole once hands are shaken."""

    __slots__ = ("_tls", "forwarded", "handshake_ms", "server_name", "verdict")

    def __init__(self, tls: ssl.SSLObject, server_name: str = "") -> None:
        self._tls = tls
        self.server_name = server_name
        # What came of the verification of the peer's certificate, if there was one.
        self.verdict: Verdict | None = None
        # What x-forwarded-client-cert says of the peer, as text and as JSON, once somebody has asked.
        self.forwarded: tuple[str, str] | None = None
        # How long the handshake took.
        self.handshake_ms = 0

    @property
    def validated(self) -> bool:
        """The peer's certificate was checked against what is trusted, in this very handshake."""
        return self.verdict is not None and self.verdict.validated

    @property
    def version(self) -> str:
        """Before the peers have agreed on one, what Envoy shows."""
        return self._tls.version() or "TLSv1.2"

    @property
    def cipher(self) -> str:
        found = self._tls.cipher()
        return found[0] if found else ""

    @property
    def group(self) -> str:
        return group_of(self._tls)

    @property
    def alpn(self) -> str:
        return self._tls.selected_alpn_protocol() or ""

    @property
    def reused(self) -> bool:
        return bool(self._tls.session_reused)

    @property
    def session_id(self) -> str:
        """Sessions of TLS 1.3, and such as are in tickets, have none."""
        if self.version == "TLSv1.3":
            return ""
        try:
            session = self._tls.session
        except ValueError:
            # Hands are not shaken, and never will be.
            return ""
        return session.id.hex() if session is not None else ""

    @property
    def peer(self) -> Certificate | None:
        """The certificate that the peer showed, trusted or not."""
        verdict = self.verdict
        if verdict is not None:
            return certificate(verdict.chain[0]) if verdict.chain else None
        try:
            der = self._tls.getpeercert(True)
        except ValueError:
            # Hands are not shaken, and never will be.
            return None
        return certificate(der) if der else None

    @property
    def known_peer(self) -> Certificate | None:
        """The same where it was found to be trusted, in this handshake or in the one that is resumed."""
        return self.peer if self.validated or self.reused else None

    @property
    def chain(self) -> list[Certificate]:
        """What the peer sent, its own certificate first."""
        if self.verdict is not None:
            return [certificate(der) for der in self.verdict.chain]
        # Of a session that was resumed, no more is known than the certificate itself.
        peer = self.peer
        return [peer] if peer is not None else []

    @property
    def issuer(self) -> Certificate | None:
        """Who has issued the peer's certificate, where that is trusted."""
        return certificate(self.verdict.issuer) if self.verdict is not None and self.verdict.issuer else None

    @property
    def own(self) -> Certificate | None:
        """The certificate that this side showed, or would have."""
        der = certificate_of(self._tls)
        return certificate(der) if der else None
