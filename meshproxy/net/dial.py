"""Connecting to a peer: a socket with its options, a bounded wait, and the reason in words when it fails."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from meshproxy.net.connection import address_text
from meshproxy.net.descriptors import ceiling
from meshproxy.net.sockets import (
    IP_BIND_ADDRESS_NO_PORT,
    IP_FREEBIND,
    IP_TRANSPARENT,
    IPV6_FREEBIND,
    IPV6_TRANSPARENT,
    SO_MARK,
    SocketOption,
)

if TYPE_CHECKING:
    from meshproxy.net.transport_options import Secured

P = TypeVar("P", bound=asyncio.Protocol)

_IMMEDIATE = "immediate connect error: "
_DELAYED = "delayed connect error: "


class DialError(Exception):
    """reason: as Envoy's %UPSTREAM_TRANSPORT_FAILURE_REASON% has it.

    local: this side gave up, because of time (timeout) or because the socket could not be had as configured (bind).
    """

    def __init__(self, reason: str, *, timeout: bool = False, bind: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.timeout = timeout
        self.bind = bind

    @property
    def local(self) -> bool:
        return self.timeout or self.bind


@dataclass(slots=True)
class SocketOptions:
    """What is set on a socket before it connects. bind: source addresses, the first of the peer's family counts.

    freebind, transparent: the source may be an address that this machine does not have, without or with answers to it
    being for us. mark: the firewall's mark of what is sent, 0 for none. Marks and transparency need CAP_NET_ADMIN.
    """

    bind: list[tuple[str, int]] = field(default_factory=list)
    options: list[SocketOption] = field(default_factory=list)
    freebind: bool = False
    transparent: bool = False
    mark: int = 0

    def under(self, source: "SocketOptions | None") -> "SocketOptions":
        """These, but where the connection of one client has a `source` of its own."""
        return self if source is None else replace(source, options=self.options + source.options)


async def dial(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], P], address: tuple[str, int], timeout: float,
    socket_options: SocketOptions, secured: "Secured | None" = None,
) -> P:  # fmt: skip
    """A connected protocol. address: (ip, port) or (path, 0). timeout in seconds, of everything until bytes may be
    sent, 0 for none. secured: what is around the bytes, if anything is."""
    deadline = loop.time() + timeout
    sock = await dial_socket(loop, address, timeout, socket_options)
    protocol = factory()
    if secured is None:
        await attach(loop, protocol, sock)
    else:
        send_header(sock, secured)
        if secured.tls is None:
            await attach(loop, protocol, sock)
        else:
            await secure(loop, protocol, sock, deadline - loop.time() if timeout else 0.0, secured)
    return protocol


def send_header(sock: socket.socket, secured: "Secured") -> None:
    """What goes before everything. Closes the socket where that fails."""
    header = secured.options.header
    if not header:
        return
    try:
        # It fits into the empty buffer of a new socket.
        sock.send(header)
    except OSError as error:
        sock.close()
        raise DialError(_DELAYED + _words(error)) from error


async def secure(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, sock: socket.socket, timeout: float, secured: "Secured"
) -> None:
    """Puts a protocol on a connected socket, with TLS between them; it has its transport once hands are shaken.

    Raises DialError.
    """
    assert secured.tls is not None
    ready = loop.create_future()
    try:
        outer = secured.tls.protect(protocol, ready, secured)
    except DialError:
        sock.close()
        raise
    await attach(loop, outer, sock)
    try:
        await _in_time(loop, ready, timeout)
    except BaseException:
        outer.abort()
        raise


async def attach(loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, sock: socket.socket) -> None:
    """Puts a protocol on a connected socket, which it owns from then on. Raises DialError.

    As with sockets that were accepted: `create_connection` lets go of its socket object a turn later, and one whose
    transport is closed by then closes, when it is collected, whatever has got its descriptor meanwhile.
    """
    try:
        await loop.connect_accepted_socket(lambda: protocol, sock)
    except OSError as error:
        sock.close()
        raise DialError(_DELAYED + _words(error)) from error


async def dial_socket(
    loop: asyncio.AbstractEventLoop, address: tuple[str, int], timeout: float, socket_options: SocketOptions
) -> socket.socket:
    """A connected non-blocking socket."""
    sock = _make_socket(address, socket_options)
    try:
        if not _connect_now(sock, address):
            await _connected(loop, sock, timeout)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect_now(sock: socket.socket, address: tuple[str, int]) -> bool:
    """Starts to connect; False while it is under way."""
    host, port = address
    target: Any = (host, port) if sock.family != socket.AF_UNIX else "\0" + host[1:] if host.startswith("@") else host
    try:
        sock.connect(target)
    except BlockingIOError:
        # A unix socket whose queue is full (EAGAIN) does not tell when there is room: that is a failure.
        if sock.family == socket.AF_UNIX:
            raise DialError(_IMMEDIATE + os.strerror(11)) from None
        return _is_connected(sock)
    except OSError as error:
        raise DialError(f"{_IMMEDIATE}{_words(error)}|remote address:{address_text(address)}") from error
    return True


def _is_connected(sock: socket.socket) -> bool:
    """On the same machine a peer has answered before connect returns: no need to wait for the loop to say so."""
    _check(sock)
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _check(sock: socket.socket) -> None:
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise DialError(_DELAYED + os.strerror(code))


async def _connected(loop: asyncio.AbstractEventLoop, sock: socket.socket, timeout: float) -> None:
    writable = loop.create_future()
    loop.add_writer(sock, _settle, writable)
    try:
        await _in_time(loop, writable, timeout)
    finally:
        loop.remove_writer(sock)
    _check(sock)


async def _in_time(loop: asyncio.AbstractEventLoop, done: "asyncio.Future[None]", timeout: float) -> None:
    """Raises DialError where it takes longer than `timeout` seconds; 0 waits for ever."""
    timer = loop.call_later(timeout, done.cancel) if timeout else None
    try:
        await done
    except asyncio.CancelledError:
        # Cancelled by the timer and not from outside: the task itself goes on.
        if timer is not None and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
            raise DialError("", timeout=True) from None
        raise
    finally:
        if timer is not None:
            timer.cancel()


def _settle(writable: "asyncio.Future[None]") -> None:
    if not writable.done():
        writable.set_result(None)


def _make_socket(address: tuple[str, int], socket_options: SocketOptions) -> socket.socket:
    host, port = address
    family = socket.AF_UNIX if not port else socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise DialError(_IMMEDIATE + _words(error), bind=True) from error
    try:
        if sock.fileno() >= ceiling():
            raise DialError(_IMMEDIATE + os.strerror(errno.EMFILE), bind=True)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _set_options(sock, socket_options)
            _bind(sock, socket_options.bind)
    except OSError as error:
        sock.close()
        raise DialError(_words(error), bind=True) from error
    except DialError:
        sock.close()
        raise
    return sock


def _set_options(sock: socket.socket, wanted: SocketOptions) -> None:
    v6 = sock.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    for option in wanted.options:
        sock.setsockopt(option.level, option.name, option.value)
    if wanted.freebind:
        sock.setsockopt(level, IPV6_FREEBIND if v6 else IP_FREEBIND, 1)
    if wanted.transparent:
        sock.setsockopt(level, IPV6_TRANSPARENT if v6 else IP_TRANSPARENT, 1)
    if wanted.mark:
        sock.setsockopt(socket.SOL_SOCKET, SO_MARK, wanted.mark)


def _bind(sock: socket.socket, sources: list[tuple[str, int]]) -> None:
    for source in sources:
        if (":" in source[0]) == (sock.family == socket.AF_INET6):
            try:
                if not source[1]:
                    # The port is chosen when the peer is known: otherwise one source had ports for 28000 connections.
                    sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                sock.bind(source)
            except OSError as error:
                reason = f"failed to bind to {source[0]}:{source[1]}: {_words(error)}"
                raise DialError(reason, bind=True) from error
            return


def _words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
