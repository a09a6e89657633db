"""The bare pass-through: the least that a Python proxy on uvloop and httptools can cost.

    python -m benchmarks.load.passthrough http|tcp LISTEN UPSTREAM        (two ports of 127.0.0.1)

HTTP parses both sides, keeps connections alive on both, pools the upstream ones, and writes once per direction and
event. It routes, checks, counts and limits nothing: it is a floor to measure against, not a proxy to use.
"""

import asyncio
import gc
import sys
from typing import Any

import httptools
import uvloop


class Pool:
    """Idle connections to the one upstream."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: list[HttpUpstream] = []

    def take(self, down: "HttpDownstream") -> None:
        if self.idle:
            down.attach(self.idle.pop())
        else:
            asyncio.get_running_loop().create_task(self._dial(down))

    async def _dial(self, down: "HttpDownstream") -> None:
        loop = asyncio.get_running_loop()
        _, up = await loop.create_connection(lambda: HttpUpstream(self), "127.0.0.1", self.port)
        down.attach(up)


class Side(asyncio.Protocol):
    """One connection of either side: parser callbacks put pieces of the other side's bytes into ``out``."""

    __slots__ = ("chunked", "head", "out", "parser", "transport")

    def __init__(self, parser: Any) -> None:
        self.parser = parser(self)
        self.head: list[bytes] = []
        self.out: list[bytes] = []
        self.chunked = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"connection":
            return
        if lower == b"transfer-encoding":
            self.chunked = True
        self.head.append(name + b": " + value + b"\r\n")

    def finish_head(self, first: bytes) -> None:
        self.out.append(first + b"".join(self.head) + b"\r\n")
        self.head.clear()

    def on_body(self, body: bytes) -> None:
        self.out.append(b"%x\r\n%b\r\n" % (len(body), body) if self.chunked else body)

    def finish_body(self) -> None:
        if self.chunked:
            self.out.append(b"0\r\n\r\n")
            self.chunked = False


class HttpDownstream(Side):
    __slots__ = ("keep_alive", "path", "pool", "up")

    def __init__(self, pool: Pool) -> None:
        super().__init__(httptools.HttpRequestParser)
        self.pool = pool
        self.path = b""
        self.keep_alive = True
        self.up: HttpUpstream | None = None

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)
        self.flush()

    def on_url(self, url: bytes) -> None:
        self.path += url

    def on_headers_complete(self) -> None:
        self.finish_head(self.parser.get_method() + b" " + self.path + b" HTTP/1.1\r\n")
        self.path = b""
        self.keep_alive = self.parser.should_keep_alive()
        self.pool.take(self)

    def on_message_complete(self) -> None:
        self.finish_body()

    def attach(self, up: "HttpUpstream") -> None:
        self.up = up
        up.down = self
        self.flush()

    def flush(self) -> None:
        if self.out and self.up:
            self.up.transport.write(b"".join(self.out))
            self.out.clear()

    def connection_lost(self, _: Exception | None) -> None:
        if self.up:
            self.up.down = None
            self.up.transport.close()


class HttpUpstream(Side):
    __slots__ = ("down", "pool", "reason")

    def __init__(self, pool: Pool) -> None:
        super().__init__(httptools.HttpResponseParser)
        self.pool = pool
        self.reason = b""
        self.down: HttpDownstream | None = None

    def data_received(self, data: bytes) -> None:
        down = self.down
        self.parser.feed_data(data)
        if down:
            down.transport.write(b"".join(self.out))
            if self.down is None and not down.keep_alive:
                down.transport.close()
        self.out.clear()

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_headers_complete(self) -> None:
        if self.down and not self.down.keep_alive:
            self.head.append(b"connection: close\r\n")
        self.finish_head(b"HTTP/1.1 %d %b\r\n" % (self.parser.get_status_code(), self.reason))
        self.reason = b""

    def on_message_complete(self) -> None:
        self.finish_body()
        if self.down:
            self.down.up = None
            self.down = None
        if self.parser.should_keep_alive():
            self.pool.idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        if self.down:
            self.down.transport.close()
        elif self in self.pool.idle:
            self.pool.idle.remove(self)


class TcpSide(asyncio.Protocol):
    """One of two sockets that pause each other."""

    ended = False
    other: "TcpSide"

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        self.ended = True
        self.other.transport.write_eof()
        return not self.other.ended  # True: stay half open

    def connection_lost(self, _: Exception | None) -> None:
        self.other.transport.close()


class TcpDial(asyncio.Protocol):
    """A client's connection until the upstream's is there; then two TcpSides take over."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.early: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.task = asyncio.get_running_loop().create_task(self._dial(transport))

    async def _dial(self, transport: Any) -> None:
        _, up = await asyncio.get_running_loop().create_connection(TcpSide, "127.0.0.1", self.port)
        down = TcpSide()
        down.connection_made(transport)
        down.other, up.other = up, down
        transport.set_protocol(down)
        up.transport.write(b"".join(self.early))

    def data_received(self, data: bytes) -> None:
        self.early.append(data)


async def main(kind: str, listen: int, upstream: int) -> None:
    pool = Pool(upstream)
    protocols = {"http": lambda: HttpDownstream(pool), "tcp": lambda: TcpDial(upstream)}
    server = await asyncio.get_running_loop().create_server(protocols[kind], "127.0.0.1", listen, backlog=4096)
    gc.freeze()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
