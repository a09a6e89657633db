"""envoy.config.core.v3.TransportSocket: how the bytes of a connection are protected."""

import ssl

from meshproxy.config.build_tls import build_common
from meshproxy.config.view import View
from meshproxy.downstream.tls_server import DownstreamTls
from meshproxy.net.tls_client import UpstreamTls
from meshproxy.net.tls_context import make_context

_RAW_BUFFER = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"
_TLS = "envoy.extensions.transport_sockets.tls.v3."


def build_downstream_socket(view: View) -> DownstreamTls | None:
    """None for plain TCP."""
    config = _open(view, _TLS + "DownstreamTlsContext")
    if config is None:
        return None
    with config.at("common_tls_context"):
        verify = ssl.CERT_REQUIRED if config.get("require_client_certificate", False) else ssl.CERT_OPTIONAL
        load = build_common(config.common_tls_context, server=True, verify=verify)
        return DownstreamTls(make_context(load(), server=True))


def build_upstream_socket(view: View) -> UpstreamTls | None:
    """None for plain TCP."""
    config = _open(view, _TLS + "UpstreamTlsContext")
    if config is None:
        return None
    with config.at("common_tls_context"):
        load = build_common(config.common_tls_context, server=False, verify=ssl.CERT_REQUIRED)
        return UpstreamTls(make_context(load(), server=False), config.sni)


def _open(view: View, wanted: str) -> View | None:
    if not view:
        return None
    _ = view.name  # the type says which transport socket it is
    kind = view.typed_config.type_name
    if kind == _RAW_BUFFER:
        view.typed_config.unpack()
        return None
    if kind != wanted:
        view.reject("typed_config", f"{kind} is not supported here")
    config: View = view.typed_config.unpack()
    return config
