"""The upstream of the load benchmarks over HTTP/2 (prior knowledge): what it answers is on the wire already.

    python -m benchmarks.load.http2_upstream PORT

A request without a body gets 100 bytes. One with a body is a gRPC call: its message is the number of messages of 1 KiB
that come back; 0 gets one message of 100 bytes. Heads are not read, windows of streams are taken for large enough, and
that of the connection is heeded.
"""

import asyncio
import sys
from collections import deque
from struct import Struct
from typing import Any

import uvloop

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE, END_STREAM, ACK, END_HEADERS = 0, 1, 4, 6, 8, 1, 1, 4
HEAD = Struct(">IBI")
WINDOW = 2**31 - 1


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def line(name: bytes, value: bytes) -> bytes:
    """A header as HPACK writes it where nothing is to be remembered."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


OK = b"\x88"  # :status: 200
PLAIN = OK + line(b"content-type", b"text/plain") + line(b"content-length", b"100")
GRPC = OK + line(b"content-type", b"application/grpc")
TRAILERS = line(b"grpc-status", b"0") + line(b"grpc-message", b"OK")
SMALL = b"\0" + (100).to_bytes(4, "big") + b"x" * 100
KIB = b"\0" + (1024).to_bytes(4, "big") + b"x" * 1024
GREETING = (
    frame(SETTINGS, 0, 0, b"\0\x04" + WINDOW.to_bytes(4, "big"))
    + frame(SETTINGS, ACK, 0)
    + frame(WINDOW_UPDATE, 0, 0, (WINDOW - 65535).to_bytes(4, "big"))
)


class Upstream(asyncio.Protocol):
    __slots__ = ("bodies", "buffer", "credit", "greeted", "out", "transport", "waiting", "window")

    def __init__(self) -> None:
        self.buffer = b""
        self.greeted = False
        self.bodies: dict[int, bytes] = {}  # of the streams whose end has not come
        self.window = 65535
        self.credit = 0  # of what was received, not yet given back
        self.waiting: deque[bytes] = deque()  # frames for which there was no window, and all behind them
        self.out: list[bytes] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data
        at = 0
        if not self.greeted:
            if len(data) < len(PREFACE):
                self.buffer = data
                return
            self.greeted = True
            at = len(PREFACE)
            self.out.append(GREETING)
        size = len(data)
        while size - at >= HEAD.size:
            word, flags, stream = HEAD.unpack_from(data, at)
            end = at + HEAD.size + (word >> 8)
            if end > size:
                break
            self.take(word & 255, flags, stream, data[at + HEAD.size : end])
            at = end
        self.buffer = data[at:]
        if self.out:
            self.transport.write(b"".join(self.out))
            self.out.clear()

    def take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            self.bodies[stream] = b""
            if flags & END_STREAM:
                self.answer(stream)
        elif kind == DATA:
            self.bodies[stream] += payload
            self.credit += len(payload)
            if self.credit > WINDOW // 2:
                self.out.append(frame(WINDOW_UPDATE, 0, 0, self.credit.to_bytes(4, "big")))
                self.credit = 0
            if flags & END_STREAM:
                self.answer(stream)
        elif kind == PING and not flags & ACK:
            self.out.append(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and not stream:
            self.window += int.from_bytes(payload, "big")
            waiting, self.waiting = self.waiting, deque()
            for each in waiting:
                self.send(each)

    def answer(self, stream: int) -> None:
        body = self.bodies.pop(stream)
        if not body:
            self.send(frame(HEADERS, END_HEADERS, stream, PLAIN))
            self.send(frame(DATA, END_STREAM, stream, b"x" * 100))
            return
        self.send(frame(HEADERS, END_HEADERS, stream, GRPC))
        count = int(body[5:] or b"0")
        for _ in range(count):
            self.send(frame(DATA, 0, stream, KIB))
        if not count:
            self.send(frame(DATA, 0, stream, SMALL))
        self.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS))

    def send(self, data: bytes) -> None:
        length = len(data) - HEAD.size if data[3] == DATA else 0
        if self.waiting or length > self.window:
            self.waiting.append(data)
            return
        self.window -= length
        self.out.append(data)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
