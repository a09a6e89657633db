"""Accepting: by uvloop into transports, or by ourselves into bare sockets."""

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any

from meshproxy.net.connection import Connection, socket_address
from meshproxy.net.tasks import start_task

if TYPE_CHECKING:
    from meshproxy.downstream.listener import Listener

_RETRY_SECONDS = 0.1


class TransportAcceptor(asyncio.Protocol):
    """uvloop accepts; this is the protocol of every new transport until its chain's own takes over."""

    def __init__(self, listener: "Listener", sock: socket.socket) -> None:
        self._listener = listener
        self._socket = sock
        self._server: Any = None
        self._local = _fixed_local(listener, sock)

    async def start(self) -> None:
        """Accepts, unless the listener is paused. The server closes its socket with itself: it gets a copy."""
        loop = self._listener.loop
        backlog = self._listener.socket_options.backlog
        if self._listener.paused or self._socket.fileno() < 0:
            return
        sock = self._socket.dup()
        if self._socket.family == socket.AF_UNIX:
            server = await loop.create_unix_server(lambda: self, sock=sock, backlog=backlog)
        else:
            server = await loop.create_server(lambda: self, sock=sock, backlog=backlog)
        self.close()
        self._server = server
        if self._listener.paused or self._socket.fileno() < 0:
            self.close()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def take_waiting(self) -> None:
        """Takes over what waits to be accepted: it would be reset when the socket closes."""
        loop = self._listener.loop
        while (accepted := _accept_now(self._socket)) is not None:
            sock = accepted[0]
            sock.setblocking(False)
            start_task(loop.connect_accepted_socket(lambda: self, sock), "accept the last")

    def connection_made(self, transport: Any) -> None:
        listener = self._listener
        # Asking for the number costs 3 µs: it only matters where there are many connections.
        crowded = listener.all_connections.is_crowded()
        if not listener.admit(transport.get_extra_info("socket").fileno() if crowded else 0):
            transport.abort()
            return
        peer = socket_address(transport.get_extra_info("peername"))
        local = self._local or socket_address(transport.get_extra_info("sockname"))
        connection = Connection(listener, local, peer, listener.loop.time())
        chain = listener.choose(connection)
        if chain is None:
            listener.dismiss()
            transport.abort()
            return
        protocol = chain.make_protocol(connection)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class SocketAcceptor:
    """Accepts bare sockets and has the listener filters look at them."""

    def __init__(self, listener: "Listener", sock: socket.socket) -> None:
        self._listener = listener
        self._socket = sock
        # Asked once: of a socket object it costs as much as a system call.
        self._unix = sock.family == socket.AF_UNIX
        self._local = _fixed_local(listener, sock)
        self._retry: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        if not self._listener.paused and self._socket.fileno() >= 0:
            self._listener.loop.add_reader(self._socket.fileno(), self._accept)

    def take_waiting(self) -> None:
        """Takes over what waits to be accepted: it would be reset when the socket closes."""
        while (accepted := _accept_now(self._socket)) is not None:
            self._admit(*accepted)

    def close(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._listener.loop.remove_reader(self._socket.fileno())

    def _accept(self) -> None:
        listener = self._listener
        accepted = 0
        while accepted < listener.max_accepts:
            try:
                sock, name = self._socket.accept()
            except BlockingIOError:
                break
            except OSError as error:
                self._failed(error)
                break
            accepted += 1
            self._admit(sock, name)
        if accepted:
            listener.stats.connections_accepted_per_socket_event.record(accepted)

    def _failed(self, error: OSError) -> None:
        """Without file descriptors the queue stays readable: looking again at once would burn a core."""
        if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            loop = self._listener.loop
            loop.remove_reader(self._socket.fileno())
            self._retry = loop.call_later(_RETRY_SECONDS, self._again)

    def _again(self) -> None:
        self._retry = None
        self._listener.loop.add_reader(self._socket.fileno(), self._accept)
        self._accept()

    def _admit(self, sock: socket.socket, name: Any) -> None:
        balance = self._listener.balance
        if balance is not None and balance.pass_on(sock):
            return
        admit_socket(self._listener, sock, name, self._local, self._unix)


def admit_socket(
    listener: "Listener", sock: socket.socket, name: Any, local: tuple[str, int] | None, unix: bool
) -> None:
    """What a listener does with a socket that was accepted for it. name: as `accept` gives it."""
    if not listener.admit(sock.fileno()):
        if listener.balance is not None:
            listener.balance.release()
        sock.close()
        return
    sock.setblocking(False)
    if not unix:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    local = local or socket_address(sock.getsockname())
    connection = Connection(listener, local, socket_address(name), listener.loop.time())
    listener.inspect(sock, connection)


def _accept_now(sock: socket.socket) -> tuple[socket.socket, Any] | None:
    try:
        return sock.accept()
    except OSError:
        # Nothing waits, or there are no descriptors left.
        return None


def _fixed_local(listener: "Listener", sock: socket.socket) -> tuple[str, int] | None:
    """The local address of all connections; None where the socket listens on any, or gets what TPROXY sends."""
    if listener.socket_options.transparent:
        return None
    name = socket_address(sock.getsockname())
    return None if name[0] in ("0.0.0.0", "::") else name
