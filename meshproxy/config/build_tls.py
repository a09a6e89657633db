"""envoy.extensions.transport_sockets.tls.v3: what DownstreamTlsContext and UpstreamTlsContext have in common."""

import ssl
from collections.abc import Callable
from dataclasses import replace

from meshproxy.config.build_identity import build_identity
from meshproxy.config.build_trust import build_trust
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError, at
from meshproxy.config.tls_ciphers import openssl_ciphers, openssl_curves
from meshproxy.config.tls_secrets import FileSecret, Source, secret_identity, secret_trust
from meshproxy.config.view import View
from meshproxy.net.tls_settings import CIPHERS, CURVES, Identity, TlsSettings
from meshproxy.net.tls_stats import TlsStats
from meshproxy.net.tls_verify import Trust

_VERSIONS = {
    "TLSv1_0": ssl.TLSVersion.TLSv1, "TLSv1_1": ssl.TLSVersion.TLSv1_1, "TLSv1_2": ssl.TLSVersion.TLSv1_2,
    "TLSv1_3": ssl.TLSVersion.TLSv1_3,
}  # fmt: skip
_UNSUPPORTED = {
    "tls_certificate_provider_instance": "certificate providers are not supported",
    "tls_certificate_certificate_provider": "certificate providers are not supported",
    "tls_certificate_certificate_provider_instance": "certificate providers are not supported",
    "custom_tls_certificate_selector": "certificates are selected by server name alone",
    "custom_handshaker": "there is one handshaker",
    "key_log": "session secrets are not written anywhere",
}

# What a reader of settings does with those that all contexts have.
Finish = Callable[[TlsSettings], TlsSettings]


class CommonLoader:
    """Reads settings anew. `finish` adds what one side alone has, such as whether a certificate is asked for."""

    def __init__(
        self, base: TlsSettings, identities: list[Source[Identity]], trust: Source[Trust] | None, finish: Finish,
    ) -> None:  # fmt: skip
        self._base = base
        self._identities = identities
        self._trust = trust
        self._finish = finish
        self.more: list[Source[object]] = []

    def load(self) -> TlsSettings | None:
        identities = []
        for i, source in enumerate(self._identities):
            with at("tls_certificates", i):
                identity = source.read()
            if identity is None:
                return None
            identities.append(identity)
        trust: Trust | None = Trust()
        if self._trust is not None:
            with at("validation_context"):
                trust = self._trust.read()
        if trust is None:
            return None
        has_trust = self._trust is not None
        return self._finish(replace(self._base, identities=tuple(identities), trust=trust, has_trust=has_trust))

    def directories(self) -> set[str]:
        sources = [*self._identities, *self.more, *([self._trust] if self._trust is not None else [])]
        return {directory for source in sources for directory in source.directories()}

    def failed(self) -> None:
        for source in (*self._identities, self._trust):
            if isinstance(source, FileSecret):
                source.stats.key_rotation_failed += 1


def build_common(view: View, ctx: Context, finish: Finish, *, server: bool) -> CommonLoader:
    """view: CommonTlsContext."""
    for field, why in _UNSUPPORTED.items():
        if getattr(view, field):
            view.reject(field, why)
    base = _build_parameters(view, server)
    return CommonLoader(base, _build_identities(view, ctx, server), _build_trust(view, ctx), finish)


def tls_stats(prefix: str, ctx: Context) -> TlsStats:
    """Those of a listener or cluster, which its contexts have together."""
    stats: TlsStats | None = ctx.tls_files.stats.get(prefix)
    if stats is None:
        stats = ctx.tls_files.stats[prefix] = TlsStats(ctx.connections.allowed)
        ctx.stats.add(prefix, stats)
    return stats


def _build_parameters(view: View, server: bool) -> TlsSettings:
    params = view.tls_params
    if params.compliance_policies:
        params.reject("compliance_policies", "this OpenSSL is not told to comply with a policy: set each parameter")
    # Envoy's clients are careful by default.
    newest = ssl.TLSVersion.TLSv1_3 if server else ssl.TLSVersion.TLSv1_2
    with view.at("tls_params"):
        return TlsSettings(
            alpn=_build_alpn(view),
            minimum=_VERSIONS.get(params.enum("tls_minimum_protocol_version"), ssl.TLSVersion.TLSv1_2),
            maximum=_VERSIONS.get(params.enum("tls_maximum_protocol_version"), newest),
            ciphers=openssl_ciphers(params.cipher_suites) if params.cipher_suites else CIPHERS,
            curves=openssl_curves(params.ecdh_curves) if params.ecdh_curves else CURVES,
            signatures=":".join(params.signature_algorithms),
        )


def _build_alpn(view: View) -> tuple[str, ...]:
    """Each entry may be several, with commas between them."""
    names = [name for name in ",".join(view.alpn_protocols).split(",") if name]
    for name in names:
        if len(name.encode()) > 255:
            raise ConfigError(f"Invalid ALPN protocol string: {name!r}")
    return tuple(names)


def _build_identities(view: View, ctx: Context, server: bool) -> list[Source[Identity]]:
    if view.tls_certificates and view.tls_certificate_sds_secret_configs:
        raise ConfigError("SDS and non-SDS TLS certificates may not be mixed in server contexts" if server else
                          "Multiple TLS certificates are not supported for client contexts")  # fmt: skip
    found: list[Source[Identity]] = []
    for i, each in enumerate(view.tls_certificates):
        with view.at("tls_certificates", i):
            found.append(build_identity(each))
    for i, each in enumerate(view.tls_certificate_sds_secret_configs):
        with view.at("tls_certificate_sds_secret_configs", i):
            found.append(secret_identity(each, ctx))
    if not server and len(found) > 1:
        raise ConfigError("Multiple TLS certificates are not supported for client contexts")
    return found


def _build_trust(view: View, ctx: Context) -> Source[Trust] | None:
    kind = view.which("validation_context_type")
    if kind is None:
        return None
    inner = getattr(view, kind)
    with view.at(kind):
        if kind == "validation_context":
            return build_trust(inner, ctx)
        if kind == "validation_context_sds_secret_config":
            return secret_trust(inner, ctx)
        if kind == "combined_validation_context":
            default = inner.default_validation_context
            return secret_trust(inner.validation_context_sds_secret_config, ctx, default.take())
    view.reject(kind, "certificate providers are not supported")

