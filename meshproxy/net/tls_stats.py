"""The counters of TLS on one side of the proxy, named as Envoy names them."""

from collections.abc import Callable, Iterator

from meshproxy.net.count import Count
from meshproxy.net.openssl import peer_signature_of
from meshproxy.net.tls_transport import TlsTransport
from meshproxy.observe.stats import Row, StatGroup

# When what is not there ends.
NEVER = 9223372036854775807


class TlsStats(StatGroup):
    """`<listener or cluster>.ssl.*`."""

    COUNTERS = (
        "connection_error", "fail_verify_cert_hash", "fail_verify_error", "fail_verify_no_cert", "fail_verify_san",
        "handshake", "no_certificate", "ocsp_staple_failed", "ocsp_staple_omitted", "ocsp_staple_requests",
        "ocsp_staple_responses", "session_reused",
    )  # fmt: skip

    __slots__ = (*COUNTERS, "_named", "_shown", "contexts")

    def __init__(self, shown: Count) -> None:
        super().__init__()
        self._named: dict[str, int] = {}
        # What tells of each context when its certificates end, by name, in seconds since the epoch.
        self.contexts: list[Callable[[], dict[str, int]]] = []
        # Which process shows that.
        self._shown = shown

    def shaken(self, transport: TlsTransport) -> None:
        """A handshake is done."""
        facts = transport.facts
        self.handshake += 1
        if facts.verdict is not None:
            self._failed(facts.verdict.counter)
        if facts.reused:
            self.session_reused += 1
        self._count("ciphers", facts.cipher)
        self._count("versions", facts.version)
        self._count("curves", facts.group)
        peer = facts.peer
        if peer is None:
            self.no_certificate += 1
        else:
            # In a session that is resumed it is not written how the peer has signed.
            self._count("sigalgs", peer_signature_of(transport.tls) or peer.usual_signature)

    def broken(self, reason: str, transport: TlsTransport) -> None:
        """A handshake failed, or a connection afterwards; reason: BoringSSL's name of it."""
        verdict = transport.facts.verdict
        if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
            self.fail_verify_no_cert += 1
        elif reason == "CERTIFICATE_VERIFY_FAILED" and verdict is not None and verdict.counter:
            self._failed(verdict.counter)
        else:
            self.connection_error += 1

    def _failed(self, counter: str) -> None:
        """One of `fail_verify_*`."""
        if counter:
            setattr(self, counter, getattr(self, counter) + 1)

    def _count(self, kind: str, name: str) -> None:
        if name:
            key = f"{kind}.{name}"
            self._named[key] = self._named.get(key, 0) + 1

    def more(self) -> Iterator[Row]:
        for name, value in self._named.items():
            yield "counter", name, value
        if not self._shown.shown_here:
            return
        ends = {name: end for context in self.contexts for name, end in context().items()}
        for name, end in ends.items():
            yield "gauge", f"certificate.{name}.expiration_unix_time_seconds", end

    def reset(self) -> None:
        super().reset()
        self._named = dict.fromkeys(self._named, 0)


class SocketFactoryStats(StatGroup):
    """`listener.<address>.server_ssl_socket_factory.*`, `cluster.<name>.client_ssl_socket_factory.*`."""

    COUNTERS = (
        "downstream_context_secrets_not_ready", "ssl_context_update_by_sds", "upstream_context_secrets_not_ready",
    )  # fmt: skip

    __slots__ = COUNTERS
