"""Which worker gets a connection, where the kernel's choice is not even enough (ConnectionBalanceConfig.exact_balance).

Whoever accepts looks for the worker that has the fewest of the listener's connections, and hands the socket over.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence

from meshproxy.net.shared_numbers import SharedNumbers

_LISTENER = struct.Struct("!I")
# At one event, so that others have their turn.
_AT_ONCE = 64

# Takes over a socket that another worker has accepted.
Receive = Callable[[socket.socket], None]


class ExactBalance:
    """One listener's. How many connections each worker has is written by whoever has the lock."""

    def __init__(self, numbers: SharedNumbers) -> None:
        self._numbers = numbers
        self._place = numbers.place()
        # Gives a socket to another worker; False where that one cannot take it now.
        self.give: Callable[[int, socket.socket], bool] = lambda _worker, _sock: False

    def pass_on(self, sock: socket.socket) -> bool:
        """Whether it goes to another worker. It is counted, here or there."""
        worker = self._choose()
        if worker is None:
            return False
        if self.give(worker, sock):
            sock.close()
            return True
        self._count(worker, -1)
        self.add()
        return False

    def add(self) -> None:
        """One more that came another way."""
        self._count(self._numbers.number, 1)

    def release(self) -> None:
        """One of this worker's connections is closed."""
        self._count(self._numbers.number, -1)

    def _choose(self) -> int | None:
        """Counts the connection for the worker that has the fewest; None for this one, also where it is one of them."""
        numbers, place = self._numbers, self._place
        best = own = numbers.number
        with numbers.alone():
            for worker in numbers.serving():
                if numbers.rows[worker][place] < numbers.rows[best][place]:
                    best = worker
            numbers.rows[best][place] += 1
        return None if best == own else best

    def _count(self, worker: int, change: int) -> None:
        numbers = self._numbers
        with numbers.alone():
            row = numbers.rows[worker]
            # What was on its way to a worker that died is counted no more.
            row[self._place] = max(0, row[self._place] + change)


class HandOver:
    """The sockets through which workers hand over what they have accepted, as one worker sees them.

    inbox: where others put what is for this one; what is in it when a worker dies is for the next. outboxes: by worker.
    receivers: by listener, which all processes number alike.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, inbox: socket.socket, outboxes: Sequence[socket.socket],
        receivers: Sequence[Receive],
    ) -> None:  # fmt: skip
        self._inbox = inbox
        self._outboxes = outboxes
        self._receivers = receivers
        loop.add_reader(inbox.fileno(), self._receive)

    def give(self, listener: int, worker: int, sock: socket.socket) -> bool:
        """False where the other's inbox is full."""
        try:
            socket.send_fds(self._outboxes[worker], [_LISTENER.pack(listener)], [sock.fileno()])
        except OSError:
            return False
        return True

    def _receive(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                data, descriptors, _, _ = socket.recv_fds(self._inbox, _LISTENER.size, 1)
            except OSError:
                # Nothing more is in it, or there are no descriptors left.
                return
            if not descriptors:
                continue
            (listener,) = _LISTENER.unpack(data)
            self._receivers[listener](socket.socket(fileno=descriptors[0]))


def boxes(workers: int) -> tuple[list[socket.socket], list[socket.socket]]:
    """Inboxes and outboxes, by worker."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(workers)]
    for sock in (sock for pair in pairs for sock in pair):
        sock.setblocking(False)
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
