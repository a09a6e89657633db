"""envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext."""

import ssl
from dataclasses import replace

from meshproxy.config.build_tls import build_common, tls_stats
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.net.tls_client import UpstreamTls
from meshproxy.net.tls_settings import TlsSettings


def build_upstream_tls(view: View, ctx: Context, cluster: str) -> UpstreamTls:
    """cluster: its name as its stats have it."""
    view.ignore("allow_renegotiation", why="OpenSSL does not renegotiate here, whoever asks")
    view.ignore("enforce_rsa_key_usage", why="the usage of keys is always enforced")

    def finish(settings: TlsSettings) -> TlsSettings:
        return replace(settings, verify=ssl.CERT_REQUIRED if settings.trust.checks else ssl.CERT_NONE)

    with view.at("common_tls_context"):
        loader = build_common(view.common_tls_context, ctx, finish, server=False)
        live = UpstreamTls(loader, f"cluster {cluster}", view.sni, view.get("max_session_keys", 1))
    live.host_is_server_name = view.auto_host_sni
    live.expects_server_name = view.auto_sni_san_validation
    if live.expects_server_name and live.settings is not None and not live.settings.trust.has_authorities:
        raise ConfigError("'auto_sni_san_validation' was configured without a validation context")
    live.count_in(tls_stats(f"cluster.{cluster}.ssl", ctx))
    live.peers = ctx.peers
    ctx.tls_files.add(live)
    ctx.stats.add(f"cluster.{cluster}.client_ssl_socket_factory", live.factory_stats)
    return live
