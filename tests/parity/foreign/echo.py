"""The server behind every endpoint: it answers with the request that it got."""

import asyncio
import contextlib
import socket

from tests.parity.wire import Message, Wire, read_request


class Echo:
    """Listens on `port` of this machine as long as the block runs."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Echo":
        self._start(self._accept())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._socket.close()

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(self._socket)
            self._start(_serve(Wire(sock)))


async def _serve(wire: Wire) -> None:
    with contextlib.closing(wire):
        while True:
            request = Message()
            # A connection may rest as long as the proxy likes; only what has begun must go on.
            if not wire.buffer and not await wire.fill():
                return
            await read_request(wire, request)
            if request.cut:
                return
            heard = "\n".join([request.start, *request.headers, "", request.body]).encode("latin-1")
            head = (
                f"HTTP/1.1 200 OK\r\nx-upstream: 1\r\ncontent-type: text/plain\r\ncontent-length: {len(heard)}\r\n\r\n"
            )
            await wire.send(head.encode() + (b"" if request.start.startswith("HEAD ") else heard))
