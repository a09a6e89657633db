"""Listening sockets: addresses, options, and in one line why a socket cannot be had."""

import os
import socket
from dataclasses import dataclass, field
from typing import Literal

State = Literal["prebind", "bound", "listening"]

# Linux numbers that the socket module of Python 3.11 does not name.
IP_FREEBIND = 15
IP_BIND_ADDRESS_NO_PORT = 24
IPV6_FREEBIND = 78
IP_TRANSPARENT = getattr(socket, "IP_TRANSPARENT", 19)
IPV6_TRANSPARENT = 75
SO_MARK = 36
IPPROTO_MPTCP = 262

_MAX_UNIX_PATH = 107


class BindError(OSError):
    """A listening socket could not be had. Its text is Envoy's: `cannot bind '127.0.0.1:80': Permission denied`."""


@dataclass(slots=True)
class SocketOption:
    """One setsockopt and when it is due (envoy.config.core.v3.SocketOption)."""

    level: int
    name: int
    value: int | bytes
    state: State = "prebind"


@dataclass(slots=True)
class ListenAddress:
    """Where to listen: (host, port), or (path, 0) for a unix socket (`@name` for an abstract one).

    unix: the address is a path. mode: the permissions of the file, 0 to leave them. ipv4_compat: an IPv6 socket takes
    IPv4 as well.
    options: in place of the listener's own where not None.
    """

    address: tuple[str, int]
    unix: bool = False
    mode: int = 0
    ipv4_compat: bool = False
    options: list[SocketOption] | None = None

    def __str__(self) -> str:
        host, port = self.address
        if self.unix:
            return host
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"

    @property
    def family(self) -> socket.AddressFamily:
        if self.unix:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET


@dataclass(slots=True)
class ListenOptions:
    """What all sockets of a listener have in common."""

    # The kernel cuts it to net.core.somaxconn, which is what Envoy takes.
    backlog: int = 65535
    reuse_port: bool = False
    transparent: bool = False
    freebind: bool = False
    fast_open: int = 0
    mptcp: bool = False
    options: list[SocketOption] = field(default_factory=list)


def bind(where: ListenAddress, options: ListenOptions) -> socket.socket:
    """A non-blocking socket that has its address, and does not listen yet. Raises BindError."""
    family = where.family
    own = _socket_options(where, options)
    protocol = IPPROTO_MPTCP if options.mptcp and not where.unix else 0
    try:
        sock = socket.socket(family, socket.SOCK_STREAM, protocol)
    except OSError as error:
        raise BindError(f"cannot open a socket for '{where}': {_reason(error)}") from None
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            _set_options(sock, where, options)
        _set_state(sock, own, "prebind")
        _bind(sock, where)
        _set_state(sock, own, "bound")
        if options.fast_open and family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, options.fast_open)
    except BindError:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise BindError(f"cannot set socket options on '{where}': {_reason(error)}") from None
    return sock


def start_listening(sock: socket.socket, where: ListenAddress, options: ListenOptions) -> None:
    """From now on connections are taken in. Raises BindError."""
    try:
        sock.listen(options.backlog)
        _set_state(sock, _socket_options(where, options), "listening")
    except OSError as error:
        raise BindError(f"cannot listen on '{where}': {_reason(error)}") from None


def _socket_options(where: ListenAddress, options: ListenOptions) -> list[SocketOption]:
    return options.options if where.options is None else where.options


def _bind(sock: socket.socket, where: ListenAddress) -> None:
    host, port = where.address
    if where.family != socket.AF_UNIX:
        _try_bind(sock, (host, port), where)
        return
    if len(host.encode()) > _MAX_UNIX_PATH:
        raise BindError(f'Path "{host}" exceeds maximum UNIX domain socket path size of {_MAX_UNIX_PATH + 1}.')
    if host.startswith("@"):
        _try_bind(sock, "\0" + host[1:], where)
        return
    # What an earlier run left behind is in the way; a path that is not there is as good.
    try:
        os.unlink(host)
    except OSError:
        pass
    _try_bind(sock, host, where)
    if where.mode:
        os.chmod(host, where.mode)


def _try_bind(sock: socket.socket, name: tuple[str, int] | str, where: ListenAddress) -> None:
    try:
        sock.bind(name)
    except OSError as error:
        raise BindError(f"cannot bind '{where}': {_reason(error)}") from None


def _set_options(sock: socket.socket, where: ListenAddress, options: ListenOptions) -> None:
    v6 = where.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if v6:
        sock.setsockopt(level, socket.IPV6_V6ONLY, 0 if where.ipv4_compat else 1)
    if options.reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if options.transparent:
        sock.setsockopt(level, IPV6_TRANSPARENT if v6 else IP_TRANSPARENT, 1)
    if options.freebind:
        sock.setsockopt(level, IPV6_FREEBIND if v6 else IP_FREEBIND, 1)


def _set_state(sock: socket.socket, options: list[SocketOption], state: State) -> None:
    for option in options:
        if option.state == state:
            sock.setsockopt(option.level, option.name, option.value)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
