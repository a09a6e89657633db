"""Header blocks to pairs (RFC 7541).

The table is one list, the static entries in front and what the peer has added behind them, the newest first: an index
is a place. A block that changes nothing in the table means the same until something does: `known_heads` and
`known_trailers` are for readers who keep what they made of such blocks, and are emptied when the table changes.
"""

from typing import Any

from meshproxy.http.h2 import huffman
from meshproxy.http.h2.errors import ConnectionBroken, HpackError
from meshproxy.http.h2.frames import ENHANCE_YOUR_CALM
from meshproxy.http.h2.hpack_static import STATIC
from meshproxy.http.headers import Pair

# What both ends begin with.
DEFAULT_TABLE_SIZE = 4096
# Bytes that an entry counts for besides its name and value.
OVERHEAD = 32
_STATIC_SIZE = len(STATIC)
# Nobody's honest size has more bits.
_MOST_BITS = 28
_NAMES_KEPT = 1024
_NAME_LENGTH = 64


class _Names(dict[bytes, str]):
    """Huffman-coded names: they repeat, on whatever connection."""

    def __missing__(self, coded: bytes) -> str:
        name = huffman.decode(coded)
        if len(coded) <= _NAME_LENGTH:
            if len(self) >= _NAMES_KEPT:
                self.clear()
            self[coded] = name
        return name


_NAMES = _Names()


class HpackDecoder:
    """Reads the blocks of one peer, which must come in order. `changed`: the last block has changed the table.

    most: a block with more headers is not read to its end, as one byte may name a header of 4 KiB: the connection ends.
    """

    __slots__ = (
        "_announced", "_limit", "_most", "_must_shrink", "_size", "_table", "changed", "known_heads",
        "known_trailers",
    )  # fmt: skip

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        # Of the table: its size in bytes, how large the peer has made it, and how large it may make it.
        self._size = 0
        self._limit = self._announced = DEFAULT_TABLE_SIZE
        # The table must become smaller, and the peer has to say so before its next block.
        self._must_shrink = False
        self._table: list[Pair] = list(STATIC)
        self.changed = False
        self.known_heads: dict[bytes, Any] = {}
        self.known_trailers: dict[bytes, Any] = {}

    def announce(self, size: int) -> None:
        """The peer knows by now how large its table may be (SETTINGS_HEADER_TABLE_SIZE)."""
        self._announced = size
        self._must_shrink = size < self._limit

    def decode(self, block: bytes) -> list[Pair]:
        """HpackError where the block is wrong: then nothing that follows on the connection can be read."""
        self.changed = False
        pairs: list[Pair] = []
        table, most = self._table, self._most
        at, end = 0, len(block)
        try:
            if self._must_shrink or (end and block[0] & 0xE0 == 0x20):
                at = self._resize(block)
            while at < end:
                byte = block[at]
                at += 1
                if byte > 0x80:
                    index = byte & 0x7F
                    if index == 0x7F:
                        index, at = _number(block, at, 0x7F)
                    pairs.append(table[index])
                elif byte & 0xE0 == 0x20 or byte == 0x80:
                    raise HpackError("a table update inside of a block, or index 0")
                else:
                    pair, at = self._literal(block, at, byte)
                    pairs.append(pair)
                if len(pairs) > most:
                    raise ConnectionBroken(ENHANCE_YOUR_CALM, "too many headers")
        except IndexError:
            raise HpackError("an index that is not there, or a block that is cut") from None
        return pairs

    def _literal(self, block: bytes, at: int, byte: int) -> tuple[Pair, int]:
        """The pair of a literal that begins with `byte`, which `at` stands behind."""
        most = 0x3F if byte & 0x40 else 0x0F
        index = byte & most
        if index == most:
            index, at = _number(block, at, most)
        if index:
            name = self._table[index][0]
        else:
            coded, raw, at = _string(block, at)
            name = raw.decode("latin-1") if not coded else _NAMES[raw]
        coded, raw, at = _string(block, at)
        value = huffman.decode(raw) if coded else raw.decode("latin-1")
        pair = (name, value)
        if byte & 0x40:
            self._add(pair, len(name) + len(value) + OVERHEAD)
        return pair, at

    def _add(self, pair: Pair, size: int) -> None:
        self._touch()
        table = self._table
        room = self._limit - size
        if self._size > room:
            self._shrink(room)
        if room >= 0:
            table.insert(_STATIC_SIZE, pair)
            self._size += size

    def _shrink(self, room: int) -> None:
        """Drops the oldest entries until no more than `room` bytes are left."""
        table = self._table
        while self._size > room and len(table) > _STATIC_SIZE:
            name, value = table.pop()
            self._size -= len(name) + len(value) + OVERHEAD

    def _resize(self, block: bytes) -> int:
        """Reads the table updates at the front of a block; how many bytes they take."""
        at = 0
        while at < len(block) and block[at] & 0xE0 == 0x20:
            size = block[at] & 0x1F
            at += 1
            if size == 0x1F:
                size, at = _number(block, at, 0x1F)
            if size > self._announced:
                raise HpackError("a table larger than was announced")
            self._touch()
            self._limit = size
            self._shrink(size)
        if self._must_shrink and self._limit > self._announced:
            raise HpackError("a table that did not become smaller")
        self._must_shrink = False
        return at

    def _touch(self) -> None:
        self.changed = True
        if self.known_heads:
            self.known_heads.clear()
        if self.known_trailers:
            self.known_trailers.clear()


def _number(block: bytes, at: int, value: int) -> tuple[int, int]:
    """A number whose first byte is full (`value`), and the place behind it (RFC 7541 §5.1)."""
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > _MOST_BITS:
            raise HpackError("a number without an end")


def _string(block: bytes, at: int) -> tuple[bool, bytes, int]:
    """(whether it is Huffman-coded, its bytes, the place behind it)."""
    first = block[at]
    at += 1
    length = first & 0x7F
    if length == 0x7F:
        length, at = _number(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise HpackError("a string behind the end of its block")
    return first >= 0x80, block[at:end], end
