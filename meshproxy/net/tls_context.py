"""OpenSSL contexts made of settings; keys and certificates come from memory and never touch a disk."""

import hashlib
import hmac
import os
import ssl
from weakref import WeakValueDictionary

from meshproxy.net.certificate import Certificate, certificates_in
from meshproxy.net.openssl import TlsContext
from meshproxy.net.tls_memory import in_memory
from meshproxy.net.tls_settings import Identity, TlsSettings
from meshproxy.net.tls_verify import set_trust

# Of ticket keys that nobody configured. Made before workers are forked: they take each other's tickets.
_secret = os.urandom(32)
_clients: WeakValueDictionary[TlsSettings, TlsContext] = WeakValueDictionary()
_HANDSHAKE_FAILURE = 40


def make_client_context(settings: TlsSettings) -> TlsContext:
    """Clusters with the same settings, of which a mesh has many, share it. Raises ValueError in Envoy's words."""
    context = _clients.get(settings)
    if context is None:
        context = _clients[settings] = _make(settings, settings.identities, server=False)
        context.send_no_more()
    return context


class ServerContexts:
    """One context for each choice of certificates that a server name may lead to (Envoy's TlsCertificateSelector).

    `first` is what a connection begins with; where there is something to choose, the hello moves it to another.
    """

    def __init__(self, settings: TlsSettings) -> None:
        """Raises ValueError in Envoy's words."""
        self._settings = settings
        self._made: dict[tuple[int, ...], TlsContext] = {}
        self.leaves = tuple(leaf_of(identity) for identity in settings.identities)
        # Name -> the first certificate of each kind of key for it. Wildcards begin with a dot.
        self._names: dict[str, dict[str, int]] = {}
        for i, leaf in enumerate(self.leaves):
            for name in leaf.names("DNS") or (leaf.common_name,):
                self._names.setdefault(name.lower().removeprefix("*"), {}).setdefault(leaf.kind, i)
        self._any = tuple(sorted({leaf.kind: i for i, leaf in reversed([*enumerate(self.leaves)])}.values()))
        self._digest = settings.session_digest(
            tuple(f"{leaf.subject} {leaf.issuer} {[name.value for name in leaf.alt_names]}" for leaf in self.leaves)
        )
        # Each has to be made once, so that what is wrong is known now.
        for i in range(len(self.leaves)):
            self._context((i,))
        self.first = self._context(self._any)
        if len(self.leaves) > len(self._any) or len(self.leaves) > 1 or settings.require_sni:
            self.first.sni_callback = self._choose

    def _choose(self, tls: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        if not name:
            return _HANDSHAKE_FAILURE if self._settings.require_sni else None
        name = name.lower()
        found = self._names.get(name) or self._names.get("." + name.partition(".")[2])
        if found is not None:
            chosen = tuple(sorted(found.values()))
        else:
            chosen = self._any if self._settings.full_scan else (0,)
        if chosen != self._any:
            tls.context = self._context(chosen)
        return None

    def _context(self, chosen: tuple[int, ...]) -> TlsContext:
        context = self._made.get(chosen)
        if context is None:
            context = _make(self._settings, [self._settings.identities[i] for i in chosen], server=True)
            context.send_no_more()
            context.set_session_context(self._digest)
            self._set_sessions(context)
            self._made[chosen] = context
        return context

    def _set_sessions(self, context: TlsContext) -> None:
        sessions = self._settings.sessions
        if sessions.timeout:
            context.set_session_timeout(sessions.timeout)
        if not sessions.stateful:
            context.set_session_cache(False)
        if not sessions.tickets:
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        else:
            # Of TLS 1.3; each costs 25 µs, and clients that want more ask again.
            context.num_tickets = 1
            context.set_ticket_keys(sessions.keys or (_ticket_key(self._digest),))


def leaf_of(identity: Identity) -> Certificate:
    try:
        return certificates_in(identity.chain)[0]
    except (ValueError, IndexError):
        raise ValueError(f"Failed to load certificate chain from {identity.source}") from None


def load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """Raises ValueError in Envoy's words."""
    leaf_of(identity)
    with in_memory(identity.chain) as chain, in_memory(identity.key) as key:
        try:
            context.load_cert_chain(chain, key, identity.password or _no_password)
        except ssl.SSLError as error:
            raise ValueError(f"Failed to load private key from {identity.key_source}, Cause: {_cause(error)}") from None


def _make(settings: TlsSettings, identities: "list[Identity] | tuple[Identity, ...]", *, server: bool) -> TlsContext:
    context = TlsContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = settings.verify
    context.minimum_version, context.maximum_version = settings.minimum, settings.maximum
    context.options |= ssl.OP_NO_RENEGOTIATION
    if settings.client_decides:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.set_ciphers(settings.ciphers)
    except ssl.SSLError:
        raise ValueError(f"Failed to initialize cipher suites {settings.ciphers}") from None
    context.set_groups(settings.curves)
    if settings.signatures:
        context.set_signature_algorithms(settings.signatures)
    for identity in identities:
        load_identity(context, identity)
    if settings.verify != ssl.CERT_NONE:
        set_trust(context, settings.trust)
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    return context


def _no_password() -> str:
    """Otherwise OpenSSL would ask at the terminal."""
    return ""


def _cause(error: ssl.SSLError) -> str:
    return error.reason or "the key or its password is none"


def _ticket_key(digest: bytes) -> bytes:
    """80 bytes for all contexts that are the same server to their clients, in all workers."""
    return b"".join(hmac.digest(_secret, bytes([i]) + digest, hashlib.sha256) for i in range(3))[:80]
