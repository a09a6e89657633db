"""Sockets to upstreams: where they come from (envoy.config.core.v3.BindConfig), and what is set on them."""

import socket
from dataclasses import replace

from meshproxy.config.build_addresses import ip_address, socket_options
from meshproxy.config.errors import at
from meshproxy.config.view import View
from meshproxy.net.dial import SocketOptions
from meshproxy.net.sockets import SocketOption


def build_socket_options(cluster: View, default: SocketOptions) -> SocketOptions:
    """Those of a cluster. default: what the cluster manager says of all that say nothing themselves."""
    if cluster.has("upstream_bind_config"):
        options = build_bind(cluster.upstream_bind_config)
    else:
        options = replace(default, options=[*default.options])
    connection = cluster.upstream_connection_options
    if connection.has("tcp_keepalive"):
        options.options.extend(_keepalive(connection.tcp_keepalive))
    connection.ignore("happy_eyeballs_config", why="an endpoint has one address")
    return options


def build_bind(bind: View) -> SocketOptions:
    """`bind`: a BindConfig."""
    options = SocketOptions()
    if bind.has("source_address"):
        options.bind.append(_source(bind, "source_address"))
    for i, extra in enumerate(bind.extra_source_addresses):
        with at("extra_source_addresses", i):
            options.bind.append(_source(extra, "address"))
    options.freebind = bind.get("freebind", False)
    options.options.extend(socket_options(bind.socket_options))
    return options


def _source(view: View, field: str) -> tuple[str, int]:
    with view.at(field):
        return ip_address(getattr(view, field))


def _keepalive(view: View) -> list[SocketOption]:
    """What is not set stays with the kernel's default."""
    options = [SocketOption(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    for field, name in (
        ("keepalive_probes", socket.TCP_KEEPCNT),
        ("keepalive_time", socket.TCP_KEEPIDLE),
        ("keepalive_interval", socket.TCP_KEEPINTVL),
    ):
        value = view.get(field)
        if value is not None:
            options.append(SocketOption(socket.IPPROTO_TCP, name, value))
    return options
