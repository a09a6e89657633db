"""One socket seen from a script, and HTTP/1 messages exactly as they were on the wire.

Nothing here repairs or rejects: a message that is cut, or framed oddly, is recorded as such.
"""

import asyncio
import hashlib
import socket
import struct
from collections.abc import Awaitable
from dataclasses import dataclass, field

DEADLINE = 5.0  # seconds that any single wait of a script may take
LONGEST_BODY_SHOWN = 2048


class Wire:
    """A non-blocking socket with a read buffer that remembers how the peer ended it."""

    __slots__ = ("sock", "buffer", "ended", "closed_here")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.buffer = bytearray()
        self.ended: str | None = None  # "fin" or "rst", once the peer has ended its direction
        self.closed_here = False

    @property
    def over(self) -> bool:
        return self.closed_here or self.ended is not None

    async def fill(self) -> bool:
        """Read once; False when the peer has ended."""
        if self.over:
            return False
        try:
            data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
        except ConnectionError:
            self.ended = "rst"
            return False
        if not data:
            self.ended = "fin"
            return False
        self.buffer += data
        return True

    def poll(self) -> None:
        """Read what is already here, without waiting."""
        while not self.over:
            try:
                data = self.sock.recv(65536)
            except BlockingIOError:
                return
            except ConnectionError:
                self.ended = "rst"
                return
            self.ended = None if data else "fin"
            self.buffer += data

    async def send(self, data: bytes) -> None:
        """Send all; a peer that no longer listens is noticed by the next read, not here."""
        try:
            await asyncio.get_running_loop().sock_sendall(self.sock, data)
        except ConnectionError:
            return

    async def take_through(self, mark: bytes) -> bytes | None:
        """Bytes up to and including `mark`, or None when the peer ends first."""
        while (at := self.buffer.find(mark)) < 0:
            if not await self.fill():
                return None
        return self._take(at + len(mark))

    async def take(self, count: int) -> bytes:
        """`count` bytes, fewer when the peer ends first."""
        while len(self.buffer) < count and await self.fill():
            pass
        return self._take(count)

    async def take_all(self) -> bytes:
        while await self.fill():
            pass
        return self._take(len(self.buffer))

    def _take(self, count: int) -> bytes:
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def half_close(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:  # the peer was faster; the next read tells how
            return

    def close(self) -> None:
        if not self.closed_here:
            self.closed_here = True
            self.sock.close()

    def reset(self) -> None:
        if not self.closed_here:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close()


@dataclass(slots=True)
class Message:
    """One HTTP/1 message: Latin-1 text, header lines untouched and in order."""

    start: str = ""
    headers: list[str] = field(default_factory=list)
    framing: str = "none"
    body: str = ""
    trailers: list[str] = field(default_factory=list)
    cut: str | None = None  # why the message is incomplete: "fin", "rst", "timeout", "bad chunk size"

    def value(self, name: str) -> str | None:
        for line in self.headers:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip(" \t")
        return None

    def seen(self, of_admin: bool = False) -> dict[str, object]:
        """The message as an observation; empty parts are left out. `of_admin`: its body is a page, seen whole."""
        seen: dict[str, object] = {"start": self.start, "headers": self.headers, "framing": self.framing}
        if self.body:
            seen |= {"page": self.body} if of_admin else {"body": shown(self.body)}
        if self.trailers:
            seen["trailers"] = self.trailers
        if self.cut:
            seen["cut"] = self.cut
        return seen


def shown(text: str) -> str:
    """Long bodies are told by their length and hash."""
    if len(text) <= LONGEST_BODY_SHOWN:
        return text
    return f"<{len(text)} bytes, sha1 {hashlib.sha1(text.encode('latin-1')).hexdigest()[:12]}>"


async def read_head(wire: Wire, message: Message) -> bool:
    head = await wire.take_through(b"\r\n\r\n")
    if head is None:
        message.start, message.cut = wire._take(len(wire.buffer)).decode("latin-1"), wire.ended or "closed"
        return False
    message.start, *message.headers = head[:-4].decode("latin-1").split("\r\n")
    return True


async def read_request(wire: Wire, message: Message) -> None:
    """Fill `message`, which the caller keeps when the reading is cancelled halfway."""
    await _guarded(_read_request(wire, message), message)


async def read_response(wire: Wire, method: str) -> Message:
    """A response to `method`; interim responses are responses of their own."""
    message = Message()
    await _guarded(_read_response(wire, message, method), message)
    return message


async def _guarded(reading: Awaitable[None], message: Message) -> None:
    try:
        async with asyncio.timeout(DEADLINE):
            await reading
    except TimeoutError:
        message.cut = "timeout"
    except asyncio.CancelledError:
        message.cut = "unfinished"
        raise


async def _read_request(wire: Wire, message: Message) -> None:
    if await read_head(wire, message):
        await _read_body(wire, message, until_close=False)


async def _read_response(wire: Wire, message: Message, method: str) -> None:
    if not await read_head(wire, message):
        return
    status = message.start[9:12]
    if method == "HEAD" or status[:1] == "1" or status in ("204", "304") or (method == "CONNECT" and status[:1] == "2"):
        return
    await _read_body(wire, message, until_close=True)


async def _read_body(wire: Wire, message: Message, until_close: bool) -> None:
    coding, length = message.value("transfer-encoding"), message.value("content-length")
    if coding and coding.lower().endswith("chunked"):
        message.framing = "chunked"
        await _read_chunks(wire, message)
    elif length and length.isascii() and length.isdigit():
        message.framing = f"content-length {length}"
        await _read_counted(wire, message, int(length))
    elif until_close:
        message.framing = "until close"
        while await wire.fill():
            pass
        message.body = wire._take(len(wire.buffer)).decode("latin-1")
        message.cut = "rst" if wire.ended == "rst" else None


async def _read_counted(wire: Wire, message: Message, count: int) -> bool:
    try:
        while len(wire.buffer) < count and await wire.fill():
            pass
    finally:
        data = wire._take(count)
        message.body += data.decode("latin-1")
    if len(data) < count:
        message.cut = wire.ended
        return False
    return True


async def _read_chunks(wire: Wire, message: Message) -> None:
    while (line := await wire.take_through(b"\r\n")) is not None:
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            message.cut = f"bad chunk size {line!r}"
            return
        if size == 0:
            await _read_trailers(wire, message)
            return
        if not await _read_counted(wire, message, size) or await wire.take_through(b"\r\n") is None:
            message.cut = wire.ended
            return
    message.cut = wire.ended


async def _read_trailers(wire: Wire, message: Message) -> None:
    while (line := await wire.take_through(b"\r\n")) is not None:
        if line == b"\r\n":
            return
        message.trailers.append(line[:-2].decode("latin-1"))
    message.cut = wire.ended
