"""What a TLS ClientHello asks for, read without any TLS library (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301)."""

from dataclasses import dataclass

_HANDSHAKE = 22
_CLIENT_HELLO = b"\x01"
_SERVER_NAME = 0
_ALPN = 16
_MAX_RECORD = 16384 + 2048


class NotTls(Exception):
    """The bytes are not the beginning of a TLS connection."""


@dataclass(frozen=True, slots=True)
class ClientHello:
    """server_name is lower case, "" where there is none. alpn: the protocols offered, in order."""

    server_name: str
    alpn: tuple[str, ...]


def parse_client_hello(data: bytes) -> ClientHello | None:
    """None while more bytes are needed. Raises NotTls."""
    message = hello_message(data)
    return None if message is None else _parse(Reader(message))


def hello_message(data: bytes) -> bytes | None:
    """The hello without what frames it; None while more bytes are needed. Raises NotTls."""
    message = b""
    at = 0
    while len(data) - at >= 5:
        kind, major, size = data[at], data[at + 1], int.from_bytes(data[at + 3 : at + 5], "big")
        if kind != _HANDSHAKE or major != 3 or size > _MAX_RECORD:
            raise NotTls("not a handshake record")
        message += data[at + 5 : at + 5 + size]
        at += 5 + size
        if message[:1] not in (b"", _CLIENT_HELLO):
            raise NotTls("not a ClientHello")
        end = 4 + int.from_bytes(message[1:4], "big")
        if len(message) >= max(end, 4):
            return message[4:end]
    return None


def _parse(hello: "Reader") -> ClientHello:
    hello.take(2 + 32)  # legacy version, random
    hello.vector(1)  # session id
    if not hello.vector(2).left or not hello.vector(1).left:  # cipher suites, compression methods
        raise NotTls("no cipher suites")
    server_name = ""
    alpn: tuple[str, ...] = ()
    if not hello.left:
        return ClientHello(server_name, alpn)
    extensions = hello.vector(2)
    while extensions.left:
        kind = extensions.number(2)
        body = extensions.vector(2)
        if kind == _SERVER_NAME:
            server_name = _server_name(body)
        elif kind == _ALPN:
            alpn = _protocols(body.vector(2))
    return ClientHello(server_name, alpn)


def _server_name(body: "Reader") -> str:
    names = body.vector(2)
    while names.left:
        kind = names.number(1)
        name = names.vector(2).rest()
        if kind == 0:
            # Names are ASCII; bytes.lower() touches nothing else.
            return name.lower().decode("latin-1")
    return ""


def _protocols(names: "Reader") -> tuple[str, ...]:
    found = []
    while names.left:
        found.append(names.vector(1).rest().decode("latin-1"))
    return tuple(found)


class Reader:
    """Takes numbers and length-prefixed vectors from the front. Raises NotTls where bytes are missing."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise NotTls("a length points past the end")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> "Reader":
        return Reader(self.take(self.number(width)))

    def rest(self) -> bytes:
        return self.take(self.left)
