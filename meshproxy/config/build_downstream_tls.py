"""envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext."""

import ssl
from dataclasses import replace

from meshproxy.config.build_tls import build_common, tls_stats
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.tls_secrets import Source, build_ticket_keys, secret_ticket_keys
from meshproxy.config.view import View
from meshproxy.downstream.tls_server import DownstreamTls
from meshproxy.net.tls_settings import Sessions, TlsSettings


def build_downstream_tls(view: View, ctx: Context, name: str, timeout: float) -> DownstreamTls:
    """name: of the filter chain, for the log. timeout: seconds that a handshake may take, 0 for any time."""
    if view.enum("ocsp_staple_policy") != "LENIENT_STAPLING":
        view.reject("ocsp_staple_policy", "OCSP responses are not stapled")
    required = view.get("require_client_certificate", False)
    keys = _build_keys(view, ctx)
    sessions = Sessions(
        tickets=not view.disable_stateless_session_resumption,
        stateful=not view.disable_stateful_session_resumption,
        timeout=int(view.seconds("session_timeout", 0.0) or 0),
    )
    client_decides, full_scan = view.prefer_client_ciphers, view.get("full_scan_certs_on_sni_mismatch", False)
    require_sni = view.get("require_sni", False)

    def finish(settings: TlsSettings) -> TlsSettings:
        trust = settings.trust
        verify = ssl.CERT_NONE
        if required or (not trust.allow_untrusted and (trust.names or trust.hashes or trust.spkis or trust.domains)):
            verify = ssl.CERT_REQUIRED
        elif trust.checks:
            verify = ssl.CERT_OPTIONAL
        found = keys.read() if keys is not None else ()
        return replace(
            settings, verify=verify, sessions=replace(sessions, keys=found or ()), client_decides=client_decides,
            full_scan=full_scan, require_sni=require_sni,
        )  # fmt: skip

    with view.at("common_tls_context"):
        common = view.common_tls_context
        if not common.tls_certificates and not common.tls_certificate_sds_secret_configs:
            raise ConfigError("No TLS certificates found for server context")
        loader = build_common(common, ctx, finish, server=True)
        if keys is not None:
            loader.more.append(keys)
        live = DownstreamTls(ctx.loop, loader, name, timeout)
    live.count_in(tls_stats(f"{ctx.listener_prefix}.ssl", ctx))
    live.peers = ctx.peers
    ctx.tls_files.add(live)
    ctx.stats.add(f"{ctx.listener_prefix}.server_ssl_socket_factory", live.factory_stats)
    return live


def _build_keys(view: View, ctx: Context) -> Source[tuple[bytes, ...]] | None:
    kind = view.which("session_ticket_keys_type")
    if kind == "session_ticket_keys":
        with view.at(kind):
            return build_ticket_keys(view.session_ticket_keys)
    if kind == "session_ticket_keys_sds_secret_config":
        with view.at(kind):
            return secret_ticket_keys(view.session_ticket_keys_sds_secret_config, ctx)
    return None
