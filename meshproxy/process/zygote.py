"""A process that does nothing but fork workers: everything is built in it, and no event loop ever ran in it.

Main asks for a worker with the worker's number and its file descriptors (SCM_RIGHTS): first its end of the channel to
main, then its listening sockets. When main is gone, so is this.
"""

import array
import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import NoReturn

# A worker: its number, and its descriptors.
Serve = Callable[[int, list[int]], NoReturn]

_REQUEST = struct.Struct("!II")
# Linux takes 253 in one message.
_AT_ONCE = 250


def fork_zygote(serve: Serve) -> socket.socket:
    """The socket through which `spawn` asks for workers. No event loop may run yet."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # The kernel takes in the dead: nobody waits for the end of a child.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if os.fork():
        theirs.close()
        return ours
    ours.close()
    _serve(theirs, serve)


def spawn(zygote: socket.socket, number: int, descriptors: list[int]) -> None:
    """Asks for the worker `number`. Raises OSError where the zygote is gone."""
    request = _REQUEST.pack(number, len(descriptors))
    for start in range(0, len(descriptors), _AT_ONCE):
        socket.send_fds(zygote, [request], descriptors[start : start + _AT_ONCE])


def _serve(control: socket.socket, serve: Serve) -> NoReturn:
    # Whoever signals all processes of a group means main, and main tells the others.
    for heard in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(heard, signal.SIG_IGN)
    while True:
        number, descriptors = _receive(control)
        if os.fork() == 0:
            control.close()
            serve(number, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _receive(control: socket.socket) -> tuple[int, list[int]]:
    """The next request; the process ends where main has."""
    received = array.array("i")
    while True:
        data, parts, _, _ = control.recvmsg(_REQUEST.size, socket.CMSG_SPACE(_AT_ONCE * received.itemsize))
        if not data:
            os._exit(0)
        for _, _, payload in parts:
            received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
        number, count = _REQUEST.unpack(data)
        if len(received) >= count:
            return number, received.tolist()
