"""What a TLS context is made of, as values: two that are equal make the same context."""

import hashlib
import ssl
from dataclasses import dataclass, field

from meshproxy.net.tls_verify import Trust

# BoringSSL's defaults as Envoy sets them, in OpenSSL's spelling.
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)
CURVES = "X25519:P-256"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its chain, and its key, both PEM. password: of the key, where it has one.

    source: where the chain is from, for words. name: of its secret, for stats.
    """

    chain: bytes
    key: bytes = field(repr=False)
    password: bytes = field(default=b"", repr=False)
    source: str = "<inline>"
    name: str = ""
    # Of the chain, where the configuration has it; None of a PKCS 12.
    inline: bytes | None = b""
    # Where the key is from, for words.
    key_source: str = "<inline>"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Resumption. keys: of tickets, 80 bytes each; none for keys of our own. timeout: seconds, 0 for two hours."""

    tickets: bool = True
    stateful: bool = True
    keys: tuple[bytes, ...] = field(default=(), repr=False)
    timeout: int = 0


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """alpn: protocols, the best first. verify: whether a peer has to show a certificate."""

    identities: tuple[Identity, ...] = ()
    trust: Trust = field(default_factory=Trust)
    verify: ssl.VerifyMode = ssl.CERT_NONE
    alpn: tuple[str, ...] = ()
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = CIPHERS
    curves: str = CURVES
    signatures: str = ""
    sessions: Sessions = field(default_factory=Sessions)
    client_decides: bool = False
    full_scan: bool = False
    require_sni: bool = False
    # There is a validation context, be it empty.
    has_trust: bool = False

    def session_digest(self, leaves: tuple[str, ...]) -> bytes:
        """Sessions are resumed between contexts that trust the same peers and are the same server to them.

        leaves: what tells our certificates' names. A ticket from before a change of authorities is of no use.
        """
        trust = self.trust
        told = (
            trust.authorities, trust.system_roots, trust.crl, trust.crl_of_leaf_only, sorted(trust.hashes),
            sorted(trust.spkis), [(each.kind, each.text, each.oid) for each in trust.names], trust.allow_expired,
            trust.allow_untrusted, trust.depth, trust.domains, self.verify, leaves,
        )  # fmt: skip
        return hashlib.sha256(repr(told).encode()).digest()
