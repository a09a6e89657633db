"""Connecting to a peer: a socket with its options, a bounded wait, and the reason in words when it fails."""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

P = TypeVar("P", bound=asyncio.Protocol)


class DialError(Exception):
    """reason: as Envoy's %UPSTREAM_TRANSPORT_FAILURE_REASON% has it."""

    def __init__(self, reason: str, timeout: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.timeout = timeout


@dataclass(slots=True)
class SocketOptions:
    """What is set on a socket before it connects. options: (level, name, value)."""

    bind: tuple[str, int] | None = None
    options: list[tuple[int, int, int | bytes]] = field(default_factory=list)


async def dial(
    loop: asyncio.AbstractEventLoop, factory: Callable[[], P], address: tuple[str, int], timeout: float,
    socket_options: SocketOptions,
) -> P:  # fmt: skip
    """A connected protocol. address: (ip, port) or (path, 0). timeout in seconds."""
    sock = await dial_socket(loop, address, timeout, socket_options)
    try:
        _, protocol = await _wrap(loop, factory, sock)
    except OSError as error:
        sock.close()
        raise DialError(_reason(error)) from error
    return protocol


async def dial_socket(
    loop: asyncio.AbstractEventLoop, address: tuple[str, int], timeout: float, socket_options: SocketOptions
) -> socket.socket:
    """A connected non-blocking socket."""
    host, port = address
    try:
        sock = _make_socket(host, port, socket_options)
    except OSError as error:
        raise DialError(f"cannot bind to {socket_options.bind}: {os.strerror(error.errno or 0)}") from error
    timer = loop.call_later(timeout, asyncio.current_task().cancel) if timeout else None  # type: ignore[union-attr]
    try:
        await loop.sock_connect(sock, (host, port) if port else _unix_name(host))
    except asyncio.CancelledError:
        sock.close()
        if timer is not None and timer.when() <= loop.time() + 0.001:
            raise DialError("", timeout=True) from None
        raise
    except OSError as error:
        sock.close()
        raise DialError(_reason(error)) from error
    finally:
        if timer is not None:
            timer.cancel()
    return sock


async def _wrap(loop: asyncio.AbstractEventLoop, factory: Callable[[], P], sock: socket.socket) -> tuple[Any, P]:
    if sock.family == socket.AF_UNIX:
        return await loop.create_unix_connection(factory, sock=sock)
    return await loop.create_connection(factory, sock=sock)


def _make_socket(host: str, port: int, socket_options: SocketOptions) -> socket.socket:
    if not port:
        family = socket.AF_UNIX
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for level, name, value in socket_options.options:
            sock.setsockopt(level, name, value)
        if socket_options.bind is not None and family != socket.AF_UNIX:
            sock.bind(socket_options.bind)
    except OSError:
        sock.close()
        raise
    return sock


def _unix_name(path: str) -> str:
    return "\0" + path[1:] if path.startswith("@") else path


def _reason(error: OSError) -> str:
    return f"delayed connect error: {os.strerror(error.errno)}" if error.errno else str(error)
