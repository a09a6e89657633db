"""OpenSSL contexts made of keys and certificates that are in memory; none of it ever touches a disk."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# As Envoy orders them (BoringSSL's defaults that are left in the configuration's own order).
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate with its chain, and its key, both PEM. password: of the key, where it has one."""

    chain: bytes
    key: bytes
    password: bytes = b""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What a context is made of. alpn: protocols, the best first. authorities: PEM, those whom peers are trusted by."""

    identities: tuple[Identity, ...] = ()
    alpn: tuple[str, ...] = ()
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers: str = _CIPHERS
    authorities: bytes = b""
    verify: ssl.VerifyMode = field(default=ssl.CERT_NONE)


def make_context(settings: TlsSettings, *, server: bool) -> ssl.SSLContext:
    """Raises ValueError with the reason."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = settings.verify
    context.minimum_version, context.maximum_version = settings.minimum, settings.maximum
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(settings.ciphers)
    for identity in settings.identities:
        load_identity(context, identity)
    if settings.authorities:
        with in_memory(settings.authorities) as path:
            context.load_verify_locations(path)
    if settings.alpn:
        context.set_alpn_protocols(list(settings.alpn))
    return context


def load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    with in_memory(identity.chain) as chain, in_memory(identity.key) as key:
        try:
            context.load_cert_chain(chain, key, identity.password or _no_password)
        except ssl.SSLError as error:
            raise ValueError(f"failed to load certificate chain or private key: {error.reason or error}") from None


def _no_password() -> str:
    """Otherwise OpenSSL would ask at the terminal."""
    raise ValueError("the private key is encrypted, and no password is given")


@contextmanager
def in_memory(data: bytes) -> Iterator[str]:
    """A path that only this process can read, as long as the block lasts: OpenSSL's loaders want files."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
