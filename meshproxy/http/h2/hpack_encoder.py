"""Pairs to header blocks (RFC 7541).

What repeats goes into the table and is one byte from then on; what differs each time, or is secret, does not. What a
pair is as a literal is known for all connections, because the Huffman code costs more than anything else here.
"""

from collections import deque
from collections.abc import Iterable

from meshproxy.http.h2 import huffman
from meshproxy.http.h2.hpack_decoder import DEFAULT_TABLE_SIZE, OVERHEAD
from meshproxy.http.h2.hpack_static import NAMES, PLACES, STATIC
from meshproxy.http.headers import Pair

_STATIC_SIZE = len(STATIC)
# Values that hardly ever come twice: not worth a place, nor the Huffman code.
_VOLATILE = frozenset(
    "x-request-id traceparent tracestate x-b3-traceid x-b3-spanid x-b3-parentspanid x-amzn-trace-id".split()
)
# As the library in Envoy: these often differ.
_NOT_INDEXED = frozenset(
    ":path age content-length etag if-modified-since if-none-match location set-cookie".split()
)  # fmt: skip
# Must not be guessed from how well they compress (RFC 7541 §7.1.3).
_SECRET = frozenset({"authorization", "proxy-authorization"})
_SHORT_COOKIE = 20
_LONG_VALUE = 512
_SHORT_VALUE = 32
_LITERALS_KEPT = 4096
_NAMES_KEPT = 256


class _Literals(dict[Pair, bytes]):
    """pair -> its literal, Huffman-coded where that is shorter; with the first byte of one that gets a place, or not.

    Names that the static table knows are taken from there.
    """

    def __init__(self, first: int, most: int) -> None:
        super().__init__()
        self._first = first
        self._most = most

    def __missing__(self, pair: Pair) -> bytes:
        name, value = pair
        literal = name_of(name, self._first, self._most) + string(value)
        if len(literal) <= _LONG_VALUE:
            if len(self) >= _LITERALS_KEPT:
                self.clear()
            self[pair] = literal
        return literal


def number(value: int, first: int, most: int) -> bytes:
    """An integer behind the bits `first`, in a first byte that holds `most` at most (RFC 7541 §5.1)."""
    if value < most:
        return bytes((first | value,))
    out = bytearray((first | most,))
    value -= most
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def string(text: str) -> bytes:
    coded = huffman.encode(text)
    if len(coded) < len(text):
        return number(len(coded), 0x80, 0x7F) + coded
    return number(len(text), 0, 0x7F) + text.encode("latin-1")


def name_of(name: str, first: int, most: int) -> bytes:
    """The beginning of a literal: the place of its name, or the name."""
    place = NAMES.get(name)
    return number(place, first, most) if place is not None else bytes((first,)) + string(name)


class _Values(dict[str, bytes]):
    """value -> its string."""

    def __missing__(self, value: str) -> bytes:
        text = string(value)
        if len(text) <= _SHORT_VALUE:
            if len(self) >= _LITERALS_KEPT:
                self.clear()
            self[value] = text
        return text


class _NameStarts(dict[str, bytes]):
    """name -> the beginning of a literal that gets no place."""

    def __missing__(self, name: str) -> bytes:
        start = name_of(name, 0, 0x0F)
        if len(self) < _LITERALS_KEPT:
            self[name] = start
        return start


_PLACED = _Literals(0x40, 0x3F)
_UNPLACED = _Literals(0, 0x0F)
_STARTS = _NameStarts()
_VALUES = _Values()


class HpackEncoder:
    """Writes blocks for one peer, in the order in which they are sent.

    limit: bytes that its table may have, whatever the peer allows.
    """

    __slots__ = ("_added", "_entries", "_limit", "_most", "_names", "_places", "_size", "_updates")

    def __init__(self, limit: int) -> None:
        self._most = limit
        self._limit = DEFAULT_TABLE_SIZE
        self._size = 0
        # pair -> how many had been added with it; and the pairs, the oldest first.
        self._places: dict[Pair, int] = {}
        # The same by name, also of those that have left.
        self._names: dict[str, int] = {}
        self._entries: deque[Pair] = deque()
        self._added = 0
        # Sizes of the table that the peer has to be told of in front of the next block.
        self._updates: list[int] = []
        if limit < DEFAULT_TABLE_SIZE:
            self.resize(limit)

    def resize(self, size: int) -> None:
        """The peer allows a table of this size (SETTINGS_HEADER_TABLE_SIZE)."""
        size = min(size, self._most)
        if size == self._limit:
            return
        # The smallest of all must be told, so that both drop the same (RFC 7541 §4.2).
        self._updates = [min([size, *self._updates]), size] if self._updates else [size]
        self._limit = size
        self._shrink(size)

    def encode(self, pairs: Iterable[Pair]) -> bytes:
        out = self._update() if self._updates else bytearray()
        places = self._places
        for pair in pairs:
            added = places.get(pair)
            if added is not None:
                index = _STATIC_SIZE + self._added - added
                if index < 0x7F:
                    out.append(0x80 | index)
                else:
                    out += number(index, 0x80, 0x7F)
                continue
            place = PLACES.get(pair)
            if place is not None:
                out.append(0x80 | place)
            else:
                out += self._literal(pair)
        return bytes(out)

    def _literal(self, pair: Pair) -> bytes:
        name, value = pair
        if name in _VOLATILE:
            length = len(value)
            if length < 0x7F:
                return b"%b%c%b" % (_STARTS[name], length, value.encode("latin-1"))
            return _STARTS[name] + string(value)
        if name in _NOT_INDEXED or len(value) > _LONG_VALUE:
            return _UNPLACED[pair]
        if name in _SECRET or (name == "cookie" and len(value) < _SHORT_COOKIE):
            return name_of(name, 0x10, 0x0F) + string(value)
        if name not in NAMES and (added := self._names.get(name, 0)) > self._added - len(self._entries):
            literal = number(_STATIC_SIZE + self._added - added, 0x40, 0x3F) + _VALUES[value]
        else:
            literal = _PLACED[pair]
        self._add(pair)
        return literal

    def _add(self, pair: Pair) -> None:
        size = len(pair[0]) + len(pair[1]) + OVERHEAD
        self._shrink(self._limit - size)
        if size <= self._limit:
            self._added += 1
            self._places[pair] = self._names[pair[0]] = self._added
            self._entries.append(pair)
            self._size += size

    def _shrink(self, room: int) -> None:
        entries, places = self._entries, self._places
        while self._size > room and entries:
            pair = entries.popleft()
            del places[pair]
            if not entries or len(self._names) > _NAMES_KEPT:
                self._names.clear()
            self._size -= len(pair[0]) + len(pair[1]) + OVERHEAD

    def _update(self) -> bytearray:
        out = bytearray()
        for size in self._updates:
            out += number(size, 0x20, 0x1F)
        self._updates = []
        return out
