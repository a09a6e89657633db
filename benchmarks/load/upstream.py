"""The upstream of the load benchmarks: answers GET /bytes/N with N bytes, and swallows what is sent to it.

    python -m benchmarks.load.upstream PORT [ADDRESS]

It reads just enough of HTTP/1.1 for well-formed requests with content-length, so that the client and it need less of
their core than any proxy needs of its own.
"""

import asyncio
import sys
from typing import Any

import uvloop

SIZES = (0, 100, 1024, 100 * 1024, 300_000, 1024 * 1024)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n"
ANSWERS = {b"/bytes/%d" % size: HEAD % size + b"x" * size for size in SIZES}
DEFAULT = ANSWERS[b"/bytes/100"]


class Upstream(asyncio.Protocol):
    __slots__ = ("answer", "head", "left", "transport")

    def __init__(self) -> None:
        self.head = b""  # what is here of a head
        self.left = 0  # bytes of a body still to come
        self.answer = DEFAULT

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        while data:
            if self.left:
                taken = min(self.left, len(data))
                data = data[taken:]
                self.left -= taken
            else:
                head, end, data = (self.head + data).partition(b"\r\n\r\n")
                if not end:
                    self.head = head
                    return
                self.head = b""
                self.start(head)
            if not self.left:
                self.transport.write(self.answer)

    def start(self, head: bytes) -> None:
        path = head[head.index(b" ") + 1 :].split(b" ", 1)[0]
        self.answer = ANSWERS.get(path, DEFAULT)
        _, found, rest = head.lower().partition(b"\r\ncontent-length:")
        self.left = int(rest.split(b"\r\n", 1)[0]) if found else 0


async def main(port: int, address: str) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, address, port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), *sys.argv[2:] or ["127.0.0.1"]))
