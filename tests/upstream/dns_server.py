"""A name server on the loopback network that answers as it is told, over UDP and TCP."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from meshproxy.upstream.dns_message import AAAA, NO_ERROR, NO_SUCH_NAME, SERVER_FAILURE, A

__all__ = ["NO_ERROR", "NO_SUCH_NAME", "SERVER_FAILURE", "NameServer", "name_server"]


class NameServer(asyncio.DatagramProtocol):
    """`names`: addresses with the seconds that they hold; a name that is missing does not exist."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[list[str], int]] = {}
        # An error code in place of any answer; None is silence.
        self.code: int | None = NO_ERROR
        # Over UDP answers are cut short, so that they have to be asked for over TCP.
        self.truncate = False
        # (name, record type, "udp" or "tcp") of every question.
        self.asked: list[tuple[str, int, str]] = []
        self.port = 0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, peer: Any) -> None:
        if (reply := self._answer(data, "udp")) is not None:
            self._transport.sendto(reply, peer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = struct.unpack(">H", await reader.readexactly(2))[0]
        reply = self._answer(await reader.readexactly(size), "tcp")
        if reply is not None:
            writer.write(struct.pack(">H", len(reply)) + reply)
        writer.close()

    def _answer(self, data: bytes, way: str) -> bytes | None:
        labels, at = [], 12
        while size := data[at]:
            labels.append(data[at + 1 : at + 1 + size].decode())
            at += 1 + size
        name, kind = ".".join(labels), struct.unpack(">H", data[at + 1 : at + 3])[0]
        self.asked.append((name, kind, way))
        if self.code is None:
            return None
        code = self.code
        if code == NO_ERROR and name not in self.names:
            code = NO_SUCH_NAME
        addresses, seconds = self.names.get(name, ([], 0)) if code == NO_ERROR else ([], 0)
        family = {A: socket.AF_INET, AAAA: socket.AF_INET6}[kind]
        values = [socket.inet_pton(family, each) for each in addresses if (":" in each) == (kind == AAAA)]
        cut = 0x0200 if self.truncate and way == "udp" else 0
        header = data[:2] + struct.pack(">5H", 0x8180 | cut | code, 1, 0 if cut else len(values), 0, 0)
        records = [b"\xc0\x0c" + struct.pack(">2HIH", kind, 1, seconds, len(value)) + value for value in values]
        return header + data[12 : at + 5] + (b"" if cut else b"".join(records))


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    server = NameServer()
    streams = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = streams.sockets[0].getsockname()[1]
    transport, _ = await loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", server.port))
    try:
        yield server
    finally:
        transport.close()
        streams.close()
