"""Bytes from one socket to another without entering this process: splice(2) through a pipe.

A pipe is only held while bytes are in it, so an idle connection costs none. Costs 380-400 ms of CPU per GB where a pair
of uvloop protocols costs 590.
"""

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable
from typing import Protocol

_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_F_SETPIPE_SZ = 1031
_SMALLEST = 4096
_LARGEST = 256 * 1024
# After this many full pipes other connections have their turn.
_ROUNDS = 4
_KEPT = 64
_COPIED = 65536


def pipe_size(limit: int) -> int:
    """The size of a pipe where at most `limit` bytes may wait in one direction of one connection."""
    size = _SMALLEST
    while size * 2 <= min(limit, _LARGEST):
        size *= 2
    return size


class Pipes:
    """Empty pipes of one size, ready for use."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free: list[tuple[int, int]] = []

    def take(self) -> tuple[int, int]:
        """(read end, write end). Raises OSError where there are no file descriptors."""
        if self._free:
            return self._free.pop()
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.fcntl(ends[1], _F_SETPIPE_SZ, self.size)
        except OSError:
            # The user's share of pipe memory is used up: the pipe is smaller, and works.
            pass
        return ends

    def give(self, ends: tuple[int, int]) -> None:
        """Takes back a pipe that is empty."""
        if len(self._free) < _KEPT:
            self._free.append(ends)
        else:
            self.drop(ends)

    def drop(self, ends: tuple[int, int]) -> None:
        """A pipe that is not empty cannot be used again."""
        os.close(ends[0])
        os.close(ends[1])

    def close(self) -> None:
        for ends in self._free:
            self.drop(ends)
        self._free.clear()


class Watcher(Protocol):
    """Whoever started a relay. `from_client` tells the direction."""

    def moved(self, from_client: bool, count: int) -> None: ...
    def paused(self, from_client: bool) -> None: ...
    def resumed(self, from_client: bool) -> None: ...
    def finished(self, from_client: bool) -> None:
        """Both directions have ended; this one was the last."""

    def broken(self, by_client: bool) -> None:
        """That side has reset its connection."""


class SpliceRelay:
    """Two connected non-blocking sockets, each half closed when the other side has said all. Owns both sockets."""

    __slots__ = ("_client", "_closed", "_down", "_loop", "_up", "_upstream", "watcher")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, pipes: Pipes, client: socket.socket, upstream: socket.socket,
        watcher: Watcher,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._client = client
        self._upstream = upstream
        self._closed = False
        self.watcher = watcher
        self._up = _Flow(self, pipes, client, upstream, True)
        self._down = _Flow(self, pipes, upstream, client, False)

    def start(self) -> None:
        self._up.start()
        if not self._closed:
            self._down.start()

    def close(self, end: Callable[[socket.socket], None]) -> None:
        """Ends both directions now. `end` closes a socket, by FIN or by RST."""
        if self._closed:
            return
        self._closed = True
        self._up.stop()
        self._down.stop()
        end(self._client)
        end(self._upstream)

    def _ended(self, flow: "_Flow") -> None:
        if self._up.ended and self._down.ended:
            self.watcher.finished(flow.from_client)


class _Flow:
    """One direction."""

    __slots__ = ("_dst", "_held", "_loop", "_pipe", "_pipes", "_relay", "_src", "ended", "from_client")

    def __init__(
        self, relay: SpliceRelay, pipes: Pipes, src: socket.socket, dst: socket.socket, from_client: bool
    ) -> None:
        self._relay = relay
        self._loop = relay._loop
        self._pipes = pipes
        self._src = src
        self._dst = dst
        self.from_client = from_client
        self.ended = False
        # What is in the pipe while the receiver does not take it.
        self._pipe: tuple[int, int] | None = None
        self._held = 0

    def start(self) -> None:
        self._loop.add_reader(self._src.fileno(), self._readable)

    def stop(self) -> None:
        self._loop.remove_reader(self._src.fileno())
        self._loop.remove_writer(self._dst.fileno())
        if self._pipe is not None:
            self._pipes.drop(self._pipe)
            self._pipe = None

    def _readable(self) -> None:
        try:
            pipe = self._pipes.take()
        except OSError:
            self._copy()
            return
        source, size = self._src.fileno(), self._pipes.size
        for _ in range(_ROUNDS):
            try:
                count = os.splice(source, pipe[1], size, flags=_FLAGS)
            except BlockingIOError:
                break
            except OSError:
                self._pipes.give(pipe)
                self._relay.watcher.broken(self.from_client)
                return
            if not count:
                self._pipes.give(pipe)
                self._end()
                return
            self._relay.watcher.moved(self.from_client, count)
            left = self._push(pipe, count)
            if left < 0:
                return
            if left:
                self._pipe, self._held = pipe, left
                self._wait()
                return
            if count < size:
                break
        self._pipes.give(pipe)

    def _push(self, pipe: tuple[int, int], count: int) -> int:
        """How many bytes the receiver does not take now; -1 where it is gone, and the pipe with it."""
        target = self._dst.fileno()
        try:
            while count:
                count -= os.splice(pipe[0], target, count, flags=_FLAGS)
        except BlockingIOError:
            pass
        except OSError:
            self._pipe = None
            self._pipes.drop(pipe)
            self._relay.watcher.broken(not self.from_client)
            return -1
        return count

    def _copy(self) -> None:
        """Without file descriptors for a pipe: bytes stay with the sender until the receiver has taken them."""
        try:
            data = self._src.recv(_COPIED, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self._relay.watcher.broken(self.from_client)
            return
        if not data:
            self._end()
            return
        try:
            count = self._dst.send(data)
        except BlockingIOError:
            self._wait()
            return
        except OSError:
            self._relay.watcher.broken(not self.from_client)
            return
        self._src.recv(count)
        self._relay.watcher.moved(self.from_client, count)

    def _wait(self) -> None:
        """For the receiver to take more."""
        self._loop.remove_reader(self._src.fileno())
        self._loop.add_writer(self._dst.fileno(), self._writable)
        self._relay.watcher.paused(self.from_client)

    def _writable(self) -> None:
        pipe = self._pipe
        if pipe is not None:
            left = self._push(pipe, self._held)
            if left < 0:
                return
            self._held = left
            if left:
                return
            self._pipe = None
            self._pipes.give(pipe)
        self._loop.remove_writer(self._dst.fileno())
        self._relay.watcher.resumed(self.from_client)
        self._loop.add_reader(self._src.fileno(), self._readable)

    def _end(self) -> None:
        """The sender has said all: so has the receiver's other half."""
        self.ended = True
        self._loop.remove_reader(self._src.fileno())
        try:
            self._dst.shutdown(socket.SHUT_WR)
        except OSError:
            self._relay.watcher.broken(not self.from_client)
            return
        self._relay._ended(self)
