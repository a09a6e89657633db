"""envoy.config.core.v3.TransportSocket: what is around the bytes of a connection."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.structs import struct_dict
from meshproxy.config.view import View
from meshproxy.upstream.transports import TransportMatch, Transports, TransportSocket, host_in

if TYPE_CHECKING:
    from meshproxy.downstream.tls_server import DownstreamTls

_SOCKETS = "envoy.extensions.transport_sockets."
_RAW_BUFFER = _SOCKETS + "raw_buffer.v3.RawBuffer"
_TLS = _SOCKETS + "tls.v3."
_PROXY = _SOCKETS + "proxy_protocol.v3.ProxyProtocolUpstreamTransport"
_PLAIN = TransportSocket()


def build_downstream_socket(view: View, ctx: Context, name: str, timeout: float) -> "DownstreamTls | None":
    """None for plain TCP. name: of the filter chain. timeout: transport_socket_connect_timeout in seconds."""
    if not view:
        return None
    kind = _kind(view)
    if kind == _RAW_BUFFER:
        view.typed_config.unpack()
        return None
    if kind != _TLS + "DownstreamTlsContext":
        _refuse(view, kind)
    from meshproxy.config.build_downstream_tls import build_downstream_tls  # 15 MB that plain TCP does not need

    with view.at("typed_config"):
        return build_downstream_tls(view.typed_config.unpack(), ctx, name, timeout)


def build_transports(view: View, ctx: Context, stat_name: str) -> Transports | None:
    """view: the Cluster. None where all connections are plain TCP. stat_name: what its stats are called by."""
    if view.transport_socket_matcher:
        view.reject("transport_socket_matcher", "not supported: use transport_socket_matches")
    with view.at("transport_socket"):
        default = _build(view.transport_socket, ctx, stat_name) if view.transport_socket else _PLAIN
    matches = []
    for i, each in enumerate(view.transport_socket_matches):
        with view.at("transport_socket_matches", i):
            wanted = struct_dict(each.match.take()) if each.match else {}
            with each.at("transport_socket"):
                socket = _build(each.transport_socket, ctx, stat_name) if each.transport_socket else _PLAIN
            found = TransportMatch(each.name, wanted, socket)
            ctx.stats.add(f"cluster.{stat_name}.{each.name}", found.stats)
            matches.append(found)
    if default.plain and not matches:
        return None
    return Transports(default, matches)


def read_host_rules(transports: Transports, view: View) -> None:
    """view: UpstreamHttpProtocolOptions."""
    transports.host_is_server_name = view.auto_sni
    transports.host_is_name = view.auto_san_validation
    if name := view.override_auto_sni_header:
        transports.host_of = _header(name.lower())


def _header(name: str) -> Callable[[Any], str]:
    """The header's value, and the request's host where it has none."""

    def host_of(stream: Any) -> str:
        request = stream.request
        return host_in(request.get(name) or request.authority)

    return host_of


def _build(view: View, ctx: Context, cluster: str) -> TransportSocket:
    kind = _kind(view)
    if kind == _RAW_BUFFER:
        view.typed_config.unpack()
        return _PLAIN
    if kind == _TLS + "UpstreamTlsContext":
        from meshproxy.config.build_upstream_tls import build_upstream_tls

        with view.at("typed_config"):
            return TransportSocket(build_upstream_tls(view.typed_config.unpack(), ctx, cluster))
    if kind == _PROXY:
        with view.at("typed_config"):
            return _build_proxy(view.typed_config.unpack(), ctx, cluster)
    _refuse(view, kind)


def _build_proxy(view: View, ctx: Context, cluster: str) -> TransportSocket:
    """A PROXY header in front of another transport socket."""
    config = view.config
    for field in ("pass_through_tlvs", "added_tlvs"):
        if getattr(config, field):
            config.reject(field, "TLVs are not sent")
    view.ignore("tlv_as_pool_key", why="TLVs are not sent")
    view.ignore("allow_unspecified_address", why="clients without an IP address are always announced as unknown")
    with view.at("transport_socket"):
        inner = _build(view.transport_socket, ctx, cluster)
    if inner.header_version:
        raise ConfigError("a PROXY header in front of a PROXY header")
    return TransportSocket(inner.tls, 2 if config.enum("version") == "V2" else 1)


def _kind(view: View) -> str:
    _ = view.name  # the type says which transport socket it is
    if not view.typed_config:
        raise ConfigError("a transport socket needs its typed_config")
    kind: str = view.typed_config.type_name
    return kind


def _refuse(view: View, kind: str) -> NoReturn:
    view.reject("typed_config", f"{kind} is not supported here")

