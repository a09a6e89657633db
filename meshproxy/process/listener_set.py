"""The listeners of a process: opened together, drained, and closed with all their connections."""

import asyncio
import socket
from collections.abc import Iterable

from meshproxy.downstream.listener import Listener
from meshproxy.net.sockets import ListenAddress, bind, start_listening
from meshproxy.observe.server_stats import ListenerManagerStats

_TURNS = 5

# Sockets by the listener's place in the configuration, one for each of its addresses.
Sockets = list[list[socket.socket]]


class ListenerSet:
    """All listeners of the configuration, in its order."""

    def __init__(self, stats: ListenerManagerStats) -> None:
        self.all: list[Listener] = []
        self._stats = stats
        # Copies that main keeps of the sockets of its workers, by listener.
        self._kept: dict[Listener, list[socket.socket]] = {}

    def add(self, listener: Listener) -> None:
        self.all.append(listener)
        self._stats.listener_added += 1

    def bind(self) -> None:
        """Gives every listener its sockets, before anything is waited for: nobody else can have the addresses. As in
        Envoy, connections are refused until `start` or `listen`. Raises BindError."""
        for listener in self.all:
            listener.bind()

    async def start(self) -> None:
        """Serves. Raises BindError."""
        for listener in self.all:
            await self._start(listener)
        self._started()

    # ---- with workers ----

    def listen(self, workers: int) -> list[Sockets]:
        """The sockets of each worker: one of its own for every address, so that the kernel spreads connections evenly.

        Where the configuration has reuse_port off, and for unix sockets, all workers accept from one. The process that
        calls this keeps them too: what waits in the queue of a dead worker waits for the next. Raises BindError.
        """
        self.bind()
        for listener in self.all:
            listener.listen()
        sets: list[Sockets] = [[] for _ in range(workers)]
        for listener in self.all:
            for number, sockets in enumerate(sets):
                pairs = zip(listener.sockets, listener.addresses, strict=False)
                own = [_copy(listener, sock, where, number) for sock, where in pairs]
                sockets.append(own)
                self._kept.setdefault(listener, []).extend(sock for sock in own if sock not in listener.sockets)
        self._started()
        return sets

    async def adopt(self, handed: Sockets) -> None:
        """Serves on sockets that main has bound; a listener that got none does not serve."""
        for listener, sockets in zip(self.all, handed, strict=True):
            listener.sockets = sockets
            if sockets:
                await self._start(listener)
        self._started()

    async def _start(self, listener: Listener) -> None:
        await listener.start()
        self._stats.listener_create_success += 1

    def _started(self) -> None:
        self._stats.total_listeners_active = len(self.all)
        self._stats.total_listeners_warming = 0
        self._stats.workers_started = 1

    # ---- the end ----

    def close(self, listeners: Iterable[Listener]) -> None:
        """Stops accepting; connections live on, and those that waited to be accepted begin to."""
        for listener in listeners:
            listener.take_waiting()
            listener.close()
            for sock in self._kept.pop(listener, ()):
                sock.close()
            self._stats.listener_stopped += 1

    async def end_connections(self) -> None:
        """Ends every connection at once, so that what was in flight is counted and logged."""
        for chain in (chain for listener in self.all for chain in listener.chains):
            chain.terminal.end_connections()
        # The loop tells of the ends of transports in its next turns.
        for _ in range(_TURNS):
            if any(listener.open for listener in self.all):
                await asyncio.sleep(0)


def _copy(listener: Listener, sock: socket.socket, where: ListenAddress, number: int) -> socket.socket:
    """The socket of worker `number` at the address where worker 0 has `sock`."""
    if number == 0 or where.unix or not listener.socket_options.reuse_port:
        return sock
    host, port = sock.getsockname()[:2]
    same = ListenAddress((host, port), ipv4_compat=where.ipv4_compat, options=where.options)
    copy = bind(same, listener.socket_options)
    start_listening(copy, same, listener.socket_options)
    return copy
