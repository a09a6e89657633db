"""envoy.extensions.transport_sockets.tls.v3: what DownstreamTlsContext and UpstreamTlsContext have in common."""

import ssl
from collections.abc import Callable

from meshproxy.config.data_source import DataSource, data_source
from meshproxy.config.errors import ConfigError, at
from meshproxy.config.view import View
from meshproxy.net.tls_context import Identity, TlsSettings

_VERSIONS = {
    "TLSv1_0": ssl.TLSVersion.TLSv1, "TLSv1_1": ssl.TLSVersion.TLSv1_1, "TLSv1_2": ssl.TLSVersion.TLSv1_2,
    "TLSv1_3": ssl.TLSVersion.TLSv1_3,
}  # fmt: skip

# Reads what is in files once more; raises ConfigError.
Load = Callable[[], TlsSettings]


def build_common(view: View, *, server: bool, verify: ssl.VerifyMode) -> Load:
    """view: CommonTlsContext. verify: whether a peer has to show a certificate, where there is something to check."""
    params = view.tls_params
    minimum = _VERSIONS.get(params.enum("tls_minimum_protocol_version"), ssl.TLSVersion.TLSv1_2)
    # Envoy's clients are careful by default.
    newest = ssl.TLSVersion.TLSv1_3 if server else ssl.TLSVersion.TLSv1_2
    maximum = _VERSIONS.get(params.enum("tls_maximum_protocol_version"), newest)
    alpn = tuple(",".join(view.alpn_protocols).split(",")) if view.alpn_protocols else ()
    identities = []
    for each in view.tls_certificates:
        with view.at("tls_certificates"):
            identities.append(_build_identity(each))
    authorities = _build_authorities(view.validation_context) if view.validation_context else None

    def load() -> TlsSettings:
        found = []
        for i, identity in enumerate(identities):
            with at("tls_certificates", i):
                found.append(identity())
        trusted = authorities.read() if authorities is not None else b""
        return TlsSettings(
            tuple(found), alpn, minimum, maximum, authorities=trusted, verify=verify if trusted else ssl.CERT_NONE
        )

    return load


def _build_authorities(view: View) -> DataSource | None:
    return data_source(view.trusted_ca) if view.trusted_ca else None


def _build_identity(view: View) -> Callable[[], Identity]:
    if not view.certificate_chain or not view.private_key:
        raise ConfigError("Failed to load incomplete certificate: certificate_chain and private_key are necessary")
    chain, key = data_source(view.certificate_chain), data_source(view.private_key)
    password = data_source(view.password) if view.password else None

    def load() -> Identity:
        secret = password.read() if password is not None else b""
        return Identity(chain.read(), key.read(), secret)

    return load
