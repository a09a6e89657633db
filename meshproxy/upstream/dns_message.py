"""Questions for addresses and their answers, as bytes (RFC 1035 §4, RFC 3596)."""

import socket
import struct
from typing import NamedTuple

A, AAAA = 1, 28
_CNAME = 5
_INTERNET = 1
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
_RESPONSE, _TRUNCATED, _RECURSION_DESIRED = 0x8000, 0x0200, 0x0100
_HEADER = struct.Struct(">6H")
_QUESTION = struct.Struct(">2H")
_RECORD = struct.Struct(">2HIH")


class BadMessage(ValueError):
    """It is none, or an answer to something else."""


class Reply(NamedTuple):
    """code: NO_ERROR, NO_SUCH_NAME, ... truncated: the whole of it is to be had over TCP.

    addresses: text; ttl: how many seconds all of them hold.
    """

    code: int
    truncated: bool
    addresses: list[str]
    ttl: int


def question(name: str, kind: int, number: int) -> bytes:
    """Asks for the addresses of a name without its last dot. Raises UnicodeError where it cannot be a host name."""
    header = _HEADER.pack(number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + _pack_name(name) + _QUESTION.pack(kind, _INTERNET)


def parse_reply(data: bytes, asked: bytes) -> Reply:
    """The answer to the question `asked`. Raises BadMessage."""
    try:
        return _parse(data, asked)
    except (struct.error, IndexError):
        raise BadMessage("it ends too early") from None


def _parse(data: bytes, asked: bytes) -> Reply:
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(data)
    size = len(asked)
    # Servers may change the case of a name, and some do.
    if data[:2] != asked[:2] or not flags & _RESPONSE or questions != 1 or len(data) < size:
        raise BadMessage("not the answer to this question")
    if data[_HEADER.size : size - 4].lower() != asked[_HEADER.size : -4].lower() or data[size - 4 : size] != asked[-4:]:
        raise BadMessage("the answer to another question")
    kind = _QUESTION.unpack(asked[-4:])[0]
    at = size
    addresses: list[str] = []
    ttl = 0x7FFFFFFF
    for _ in range(answers):
        at = _skip_name(data, at)
        found, _, seconds, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        value = data[at : at + length]
        at += length
        if len(value) != length:
            raise BadMessage("it ends too early")
        if found == kind:
            addresses.append(_address(value))
        if found in (kind, _CNAME):
            # More than 31 bits are none (RFC 2181 §8).
            ttl = min(ttl, seconds if seconds < 0x80000000 else 0)
    return Reply(flags & 0xF, bool(flags & _TRUNCATED), addresses, ttl if addresses else 0)


def _address(value: bytes) -> str:
    if len(value) == 4:
        return socket.inet_ntop(socket.AF_INET, value)
    if len(value) == 16:
        return socket.inet_ntop(socket.AF_INET6, value)
    raise BadMessage("not an address")


def _pack_name(name: str) -> bytes:
    parts = []
    for label in name.split("."):
        text = label.encode("ascii") if label.isascii() else label.encode("idna")
        if not 0 < len(text) < 64:
            raise UnicodeError(f"{name}: not a host name")
        parts.append(bytes([len(text)]) + text)
    packed = b"".join(parts) + b"\0"
    if len(packed) > 255:
        raise UnicodeError(f"{name}: too long for a host name")
    return packed


def _skip_name(data: bytes, at: int) -> int:
    """What comes after the name; a pointer ends it."""
    while size := data[at]:
        if size >= 0xC0:
            return at + 2
        at += 1 + size
    return at + 1
