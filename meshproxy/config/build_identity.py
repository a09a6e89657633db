"""envoy.extensions.transport_sockets.tls.v3.TlsCertificate: a certificate chain and its key."""

import os
from dataclasses import dataclass

from meshproxy.config.data_source import DataSource, data_source
from meshproxy.config.errors import ConfigError, at
from meshproxy.config.view import View
from meshproxy.net.tls_settings import Identity


@dataclass(frozen=True, slots=True)
class IdentitySource:
    """Where an identity is from. name: of its secret, "" without one."""

    chain: DataSource | None
    key: DataSource | None
    pkcs12: DataSource | None
    password: DataSource | None
    watched: str
    name: str = ""

    def read(self) -> Identity:
        """What is there now. Raises ConfigError."""
        password = _part(self.password, "password")
        if self.pkcs12 is not None:
            with at("pkcs12"):
                chain, key = _open_pkcs12(self.pkcs12.read(), password)
            return Identity(chain, key, b"", shown(self.pkcs12), self.name, None)
        chain, key = _part(self.chain, "certificate_chain"), _part(self.key, "private_key")
        assert self.chain is not None
        assert self.key is not None
        return Identity(
            chain, key, password, shown(self.chain), self.name, self.chain.inline, shown(self.key)
        )  # fmt: skip

    def directories(self) -> set[str]:
        return directories_of(self.watched, self.chain, self.key, self.pkcs12, self.password)


def build_identity(view: View, name: str = "") -> IdentitySource:
    """Raises ConfigError in Envoy's words."""
    if view.private_key_provider:
        view.reject("private_key_provider", "private keys are not delegated here")
    view.ignore("signed_certificate_timestamp", why="Envoy does not read it either")
    view.ignore("ocsp_staple", why="OCSP responses are not stapled")
    if view.tls_params:
        view.reject("tls_params", "TLS parameters of a single certificate are not supported: set them for all")
    watched = view.watched_directory.path if view.watched_directory else ""
    password = _source(view, "password")
    if view.pkcs12:
        if view.certificate_chain or view.private_key:
            raise ConfigError("Certificate configuration can't have both pkcs12 and certificate_chain")
        return IdentitySource(None, None, _source(view, "pkcs12"), password, watched, name)
    if not view.certificate_chain or not view.private_key:
        if view.certificate_chain:
            raise ConfigError("Failed to load incomplete private key from path: ")
        raise ConfigError("Failed to load incomplete certificate from : certificate chain not set")
    return IdentitySource(
        _source(view, "certificate_chain"), _source(view, "private_key"), None, password, watched, name
    )


def shown(source: DataSource) -> str:
    """As Envoy's messages name a source."""
    return source.path if source.kind == "filename" else "<inline>"


def directories_of(watched: str, *sources: DataSource | None) -> set[str]:
    """Where to look for changes: the directory that is told, or those of the files."""
    files = [each for each in sources if each is not None and each.kind == "filename"]
    if watched:
        return {watched} if files else set()
    return {each.watched or os.path.dirname(each.path) or "." for each in files}


def _source(view: View, name: str) -> DataSource | None:
    if not getattr(view, name):
        return None
    with view.at(name):
        return data_source(getattr(view, name))


def _part(source: DataSource | None, field: str) -> bytes:
    if source is None:
        return b""
    with at(field):
        return source.read()


def _open_pkcs12(data: bytes, password: bytes) -> tuple[bytes, bytes]:
    """Chain and key as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

    try:
        key, leaf, others = pkcs12.load_key_and_certificates(data, password or None)
    except ValueError as error:
        raise ConfigError(f"Failed to load pkcs12: {error}") from None
    if key is None or leaf is None:
        raise ConfigError("Failed to load pkcs12: it has no certificate with a key")
    chain = b"".join(each.public_bytes(Encoding.PEM) for each in (leaf, *others))
    return chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
