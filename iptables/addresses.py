"""Addresses and ranges, read and written as Go's net/netip does. A range keeps its host bits."""

import socket

from meshproxy.iptables.errors import SetupError


class Prefix:
    """An address range such as ``10.0.0.0/8``. ``text`` is its plain form, which the rules have."""

    __slots__ = ("bits", "packed", "text")

    def __init__(self, packed: bytes, bits: int) -> None:
        self.packed = packed
        self.bits = bits
        self.text = f"{format_address(packed)}/{bits}"

    @property
    def is_v6(self) -> bool:
        return len(self.packed) == 16

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.packed)


def parse_address(text: str) -> bytes:
    """4 or 16 bytes. Raises ValueError."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        return socket.inet_pton(family, text)
    except (OSError, ValueError):
        raise ValueError(f'"{text}" is no IP address') from None


def format_address(packed: bytes) -> str:
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)
    if _is_mapped(packed):
        return "::ffff:" + socket.inet_ntop(socket.AF_INET, packed[12:])
    return _format_v6(packed)


def _format_v6(packed: bytes) -> str:
    """RFC 5952, and never with a dotted end: the C library writes ::7f00:1 as ::127.0.0.1."""
    groups = [f"{high << 8 | low:x}" for high, low in zip(packed[::2], packed[1::2], strict=True)]
    start = length = 0
    for first in range(8):
        zeros = 0
        while first + zeros < 8 and groups[first + zeros] == "0":
            zeros += 1
        if zeros > max(length, 1):
            start, length = first, zeros
    if not length:
        return ":".join(groups)
    return ":".join(groups[:start]) + "::" + ":".join(groups[start + length :])


def parse_prefix(text: str) -> Prefix:
    """Raises ValueError with what is wrong."""
    address, slash, length = text.rpartition("/")
    if not slash:
        raise ValueError(f'"{text}" has no /length')
    packed = parse_address(address)
    if not (length.isascii() and length.isdigit()) or (length[0] == "0" and length != "0"):
        raise ValueError(f'"{length}" is no prefix length in "{text}"')
    if int(length) > len(packed) * 8:
        raise ValueError(f'the prefix length of "{text}" is more than {len(packed) * 8}')
    return Prefix(packed, int(length))


def is_loopback(packed: bytes) -> bool:
    if len(packed) == 4:
        return packed[0] == 127
    if _is_mapped(packed):
        return packed[12] == 127
    return packed == bytes(15) + b"\x01"


def is_link_local(packed: bytes) -> bool:
    """Unicast or multicast of one link: such an address says nothing about the pod's family."""
    if len(packed) == 16 and _is_mapped(packed):
        packed = packed[12:]
    if len(packed) == 4:
        return packed[:2] == b"\xa9\xfe" or packed[:3] == b"\xe0\x00\x00"
    return (packed[0] == 0xFE and packed[1] & 0xC0 == 0x80) or (packed[0] == 0xFF and packed[1] & 0x0F == 0x02)


def is_v6(packed: bytes) -> bool:
    """IPv4 in IPv6's clothes counts as IPv4."""
    return len(packed) == 16 and not _is_mapped(packed)


def _is_mapped(packed: bytes) -> bool:
    return packed.startswith(b"\x00" * 10 + b"\xff\xff")


class Ranges:
    """What a list of ranges says: everything (``*``), or these of IPv4 and these of IPv6."""

    __slots__ = ("everything", "v4", "v6")

    def __init__(self, value: str, flag: str) -> None:
        """``flag`` is named when something in the list is no range (SetupError)."""
        self.everything = value == "*"
        self.v4: list[Prefix] = []
        self.v6: list[Prefix] = []
        for item in () if self.everything else split(value):
            try:
                prefix = parse_prefix(item)
            except ValueError as reason:
                raise SetupError(
                    f"{flag}: {reason}; give ranges such as 10.0.0.0/8 or fd00::/8, or '*' alone"
                ) from None
            (self.v6 if prefix.is_v6 else self.v4).append(prefix)

    @property
    def has_loopback(self) -> bool:
        return any(prefix.is_loopback for prefix in (*self.v4, *self.v6))


def split(value: str) -> list[str]:
    """The items of a comma list; empty ones are none."""
    return [item for item in value.split(",") if item]
