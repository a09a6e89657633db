"""Bytes between two transports, where something on the way looks at them: filters, or TLS."""

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from meshproxy.net.dial import attach

if TYPE_CHECKING:
    from meshproxy.downstream.tcp_session import TcpSession


class _Side(asyncio.Protocol):
    """One end: what it reads goes to the other, which pauses it when it has too much to write."""

    __slots__ = ("_ended", "_lost", "_session", "other", "transport")

    from_client = False

    def __init__(self, session: "TcpSession") -> None:
        self._session = session
        self.transport: Any = None
        self.other: _Side | None = None
        self._ended = False
        self._lost = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=self._session.proxy.buffer_limit)

    def data_received(self, data: bytes) -> None:
        other = self.other
        assert other is not None
        self._session.moved(self.from_client, len(data))
        other.transport.write(data)

    def eof_received(self) -> bool:
        other = self.other
        assert other is not None
        self._ended = True
        if other._ended:
            # Both have said all: closing writes what is left first.
            self._session.finished(self.from_client)
            return False
        other.transport.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._lost = True
        if error is not None or not self._ended:
            self._session.broken(self.from_client)

    def pause_writing(self) -> None:
        other = self.other
        if other is not None and not other._lost:
            other.transport.pause_reading()
            self._session.paused(other.from_client)

    def resume_writing(self) -> None:
        other = self.other
        if other is not None and not other._lost:
            other.transport.resume_reading()
            self._session.resumed(other.from_client)

    def shut(self, reset: bool) -> None:
        if self.transport is None or self._lost:
            return
        if reset:
            abort(self.transport)
        else:
            self.transport.close()


class RelayProtocol(_Side):
    """The client's side. What it reads before the upstream is connected waits, and is little."""

    __slots__ = ("_closed", "_early", "_early_end", "begun")

    from_client = True

    def __init__(self, session: "TcpSession") -> None:
        super().__init__(session)
        # Whether the session has started, with the bare socket.
        self.begun = False
        self._closed = False
        self._early: list[bytes] = []
        self._early_end = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if not self.begun:
            self._session.start()

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            # uvloop reads once before it can be told not to.
            self._early.append(data)
            self.transport.pause_reading()
        else:
            super().data_received(data)

    def eof_received(self) -> bool:
        if self.other is None or self.other.transport is None:
            self._early_end = True
            return True
        return super().eof_received()

    def expect(self) -> "_Side":
        """The upstream's side, which is about to get a transport."""
        self.other = _Side(self._session)
        self.other.other = self
        return self.other

    async def join(self, upstream: socket.socket | None) -> None:
        if upstream is not None:
            await attach(self._session.proxy.loop, self.expect(), upstream)
        assert self.other is not None
        if self._closed:
            self.other.shut(False)
            return
        for data in self._early:
            super().data_received(data)
        self._early.clear()
        if self._early_end:
            super().eof_received()
        elif not self._lost:
            self.transport.resume_reading()

    def close(self, reset: bool) -> None:
        self._closed = True
        self.shut(reset)
        if self.other is not None:
            self.other.shut(reset)


def abort(transport: Any) -> None:
    """Closes by RST, if the socket knows what that is."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    transport.abort()
