"""The two forms of the PROXY protocol's header, parsed."""

import socket
import struct
from dataclasses import dataclass, field
from ipaddress import ip_address

Address = tuple[str, int]

_HEAD = struct.Struct("!12xBBH")
_PROXY = 0x21
_LOCAL = 0x20
_TCP4 = 0x11
_TCP6 = 0x21


class HeaderError(Exception):
    """The header is malformed, or of a kind that is not taken."""


@dataclass(slots=True)
class ProxyHeader:
    """length: of the header in bytes. peer and local are None where the sender speaks for itself."""

    length: int
    peer: Address | None = None
    local: Address | None = None
    tlvs: list[tuple[int, bytes]] = field(default_factory=list)


def parse_v1(line: bytes) -> ProxyHeader:
    """`PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\\r\\n`. Raises HeaderError."""
    words = line[:-2].decode("latin-1").split(" ")
    if words[:2] == ["PROXY", "UNKNOWN"]:
        return ProxyHeader(len(line))
    if len(words) != 6 or words[0] != "PROXY" or words[1] not in ("TCP4", "TCP6"):
        raise HeaderError("not six words")
    family = socket.AF_INET if words[1] == "TCP4" else socket.AF_INET6
    return ProxyHeader(
        len(line), _address(family, words[2], _port(words[4])), _address(family, words[3], _port(words[5]))
    )


def parse_v2(data: bytes) -> ProxyHeader | None:
    """The binary form; None while it is not complete. Raises HeaderError."""
    command, kind, size = _HEAD.unpack_from(data)
    if command not in (_PROXY, _LOCAL):
        raise HeaderError("version or command")
    length = _HEAD.size + size
    if command == _PROXY and kind not in (_TCP4, _TCP6):
        raise HeaderError("neither TCP over IPv4 nor over IPv6")
    addresses = 0 if command == _LOCAL else 12 if kind == _TCP4 else 36
    if size < addresses:
        raise HeaderError("too short for its addresses")
    if len(data) < length:
        return None
    header = ProxyHeader(length)
    if command == _LOCAL:
        return header
    family = socket.AF_INET if kind == _TCP4 else socket.AF_INET6
    wide = 4 if kind == _TCP4 else 16
    hosts = data[_HEAD.size :]
    ports = struct.unpack_from("!HH", hosts, 2 * wide)
    header.peer = _address(family, socket.inet_ntop(family, hosts[:wide]), ports[0])
    header.local = _address(family, socket.inet_ntop(family, hosts[wide : 2 * wide]), ports[1])
    header.tlvs = _tlvs(data[_HEAD.size + addresses : length])
    return header


def _tlvs(data: bytes) -> list[tuple[int, bytes]]:
    """Type, length in two bytes, value; one after the other."""
    found = []
    at = 0
    while at < len(data):
        if at + 3 > len(data):
            raise HeaderError("a TLV is cut")
        end = at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")
        if end > len(data):
            raise HeaderError("a TLV is cut")
        found.append((data[at], data[at + 3 : end]))
        at = end
    return found


def _address(family: socket.AddressFamily, host: str, port: int) -> Address:
    """Only an address of one host can be the end of a TCP connection."""
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        raise HeaderError(f"bad address {host!r}") from None
    ip = ip_address(host)
    if ip.is_multicast or ip.is_unspecified or host == "255.255.255.255":
        raise HeaderError(f"{host} is not the address of a host")
    return host, port


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text[:10]) > 65535:
        raise HeaderError(f"bad port {text!r}")
    return int(text)
