"""Addresses (envoy.config.core.v3.Address) and socket options, for either side."""

import socket
from typing import Any

from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.net.sockets import SocketOption, State

Address = tuple[str, int]

_STATES: dict[str, State] = {"STATE_PREBIND": "prebind", "STATE_BOUND": "bound", "STATE_LISTENING": "listening"}


def is_ip(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        return False
    return True


def ip_address(view: View) -> Address:
    """(ip, port) of a SocketAddress that has to hold an IP address."""
    host, port = socket_address(view)
    if not is_ip(host):
        raise ConfigError(f"malformed IP address: {host}")
    return host, port


def socket_address(view: View) -> Address:
    """(host, port) of a SocketAddress; host may be a name."""
    if view.enum("protocol") != "TCP":
        view.reject("protocol", "UDP is not supported")
    if view.named_port:
        view.reject("named_port", "a port has to be a number")
    if view.network_namespace_filepath:
        view.reject("network_namespace_filepath", "network namespaces are not supported")
    view.ignore("resolver_name", why="names are resolved by the system's resolver")
    view.ignore("ipv4_compat", why="only listeners accept for both families")
    return view.address, view.port_value


def pipe_address(view: View) -> Address:
    """(path, 0) of a Pipe; `@name` for an abstract socket."""
    view.ignore("mode", why="only listeners make the file of a unix socket")
    return view.path, 0


def socket_options(views: list[View]) -> list[SocketOption]:
    return [_socket_option(view) for view in views if _is_for_streams(view)]


def _is_for_streams(view: View) -> bool:
    """Options for datagrams alone are for nobody here: only TCP sockets are made."""
    kind = view.type
    if not kind or kind.has("stream"):
        kind.has("datagram")
        return True
    view.ignore("type", "level", "name", "int_value", "buf_value", "state", "description", why="for datagrams alone")
    return False


def _socket_option(view: View) -> SocketOption:
    view.ignore("description", why="a note to the reader")
    value: Any = view.int_value if view.which("value") == "int_value" else view.buf_value
    return SocketOption(view.level, view.name, value, _STATES[view.enum("state")])
