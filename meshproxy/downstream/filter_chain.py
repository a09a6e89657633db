"""Network filters in order, and the terminal filter that serves what they let pass (Envoy's FilterChain)."""

import asyncio
import inspect
import logging
import socket
import struct
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from meshproxy.downstream.filtered import FilteredProtocol
from meshproxy.downstream.network_filter import Close, NetworkFilter, TerminalFilter, hooks
from meshproxy.net.connection import Connection
from meshproxy.net.tasks import start_task

if TYPE_CHECKING:
    from meshproxy.downstream.tls_server import DownstreamTls

_log = logging.getLogger("filter")
_RESET = struct.pack("ii", 1, 0)


class FilterChain:
    """Shared by all connections that its match chooses. buffer_limit: per_connection_buffer_limit_bytes."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, name: str, filters: list[NetworkFilter], terminal: TerminalFilter,
        buffer_limit: int,
    ) -> None:  # fmt: skip
        self.loop = loop
        self.name = name
        self.terminal = terminal
        self.buffer_limit = buffer_limit
        self.metadata: dict[str, Any] = {}
        self.tls: DownstreamTls | None = None
        # (place in the chain, hook)
        self.on_connection = [
            (place, hook) for place, each in enumerate(filters) for hook in hooks([each], "on_connection")
        ]
        self.filters = filters
        self.on_data = hooks(filters, "on_data")
        self.on_write = hooks(filters, "on_write")
        self.on_done = hooks(filters, "on_done")
        # Somebody besides the terminal filter wants to see the bytes.
        self.filtered = bool(self.on_data or self.on_write)
        # The listener's own log wants to know how many bytes a connection carried.
        self.counted = False

    @property
    def needs_socket(self) -> bool:
        """The chain has something to do before a transport reads, or never wants one."""
        return bool(self.on_connection) or self._serves_socket

    @property
    def _serves_socket(self) -> bool:
        """Nobody here wants to see the bytes, and none are to be decrypted."""
        return self.terminal.takes_socket and not self.filtered and self.tls is None

    def make_protocol(self, connection: Connection) -> asyncio.Protocol:
        """What serves a connection whose filters let it pass."""
        protocol = self.terminal.make_protocol(connection)
        if self.filtered or self.counted:
            protocol = FilteredProtocol(self, connection, protocol)
        return protocol if self.tls is None else self.tls.protect(connection, protocol)

    def serve(self, sock: socket.socket, connection: Connection) -> None:
        """Takes over a socket that nobody has read from: filters first, then the terminal filter."""
        for step, (place, hook) in enumerate(self.on_connection):
            try:
                verdict = hook(connection)
            except Exception:
                # That filter's bug: this connection ends, the others live.
                _log.exception("network filter %r failed", self.filters[place].name)
                verdict = Close(reset=True)
            if inspect.isawaitable(verdict):
                start_task(self._wait(verdict, step, sock, connection), "network filter")
                return
            if verdict is not None:
                self._refuse(verdict, place, sock, connection)
                return
        self._start(sock, connection)

    def ended(self, connection: Connection) -> None:
        """A connection that all filters let pass is closed."""
        for hook in self.on_done:
            hook(connection)

    async def _wait(self, verdict: Awaitable[Any], step: int, sock: socket.socket, connection: Connection) -> None:
        """The hook at `step` has given `verdict` to wait for; those behind it follow."""
        place = self.on_connection[step][0]
        try:
            answer = await verdict
            for later, hook in self.on_connection[step + 1 :]:
                if answer is not None:
                    break
                place = later
                answer = hook(connection)
                if inspect.isawaitable(answer):
                    answer = await answer
        except BaseException:
            self._refuse(Close(reset=True), place, sock, connection)
            raise
        if answer is not None:
            # What came in the meantime is read, or the kernel would turn the end into a reset.
            drain(sock, self.buffer_limit)
            self._refuse(answer, place, sock, connection)
        else:
            self._start(sock, connection)

    def _start(self, sock: socket.socket, connection: Connection) -> None:
        if self._serves_socket:
            self.terminal.serve(sock, connection)
        else:
            start_task(self._attach(sock, connection), "attach a connection")

    async def _attach(self, sock: socket.socket, connection: Connection) -> None:
        protocol = self.make_protocol(connection)
        try:
            await self.loop.connect_accepted_socket(lambda: protocol, sock)
        except OSError:
            # The client was gone before there was a transport: nothing was served and nothing is lost.
            sock.close()
            connection.ended()

    def _refuse(self, verdict: Close, place: int, sock: socket.socket, connection: Connection) -> None:
        """The filter at `place` does not let the connection pass: only those before it hear of its end."""
        close_socket(sock, verdict.reset)
        for hook in hooks(self.filters[:place], "on_done"):
            hook(connection)
        connection.local_close_reason = verdict.reason
        self.terminal.refused(connection)


def drain(sock: socket.socket, limit: int) -> None:
    """Reads and forgets what has come, up to `limit` bytes."""
    try:
        while limit > 0 and (data := sock.recv(min(limit, 65536))):
            limit -= len(data)
    except OSError:
        # Nothing more is there, or the peer has reset the connection.
        return


def close_socket(sock: socket.socket, reset: bool) -> None:
    """Closes by FIN, or by RST where that is asked for (unix sockets know no RST)."""
    if reset:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            # The peer has reset it already.
            pass
    sock.close()
