"""The Huffman code of HPACK (RFC 7541 §5.2, appendix B), from and to Latin-1 text.

Decoding goes byte by byte through states, each a place in the middle of a code: a state knows for a byte the text that
it completes and the state behind it. What a byte means in a state is worked out when it comes for the first time, so
that only what real traffic needs is ever there.
"""

from typing import Any

from meshproxy.http.h2.errors import HpackError

# Bits of the code of each byte, then of the end of string. The code is canonical: these lengths say it all.
_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b0806060605050506060606"
    "06060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e060f05060506050606060507070606"
    "060506070605050607070707070f0b0e0d1c14161414161616171617171717171817181816171817171717151617161717181615141616"
    "1717151716161815161717151516151716171714161616171616171a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a"
    "1c1b1b1b14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)
_END = 256


def _codes() -> list[str]:
    """The code of each symbol, as text of 0 and 1."""
    codes = [""] * len(_LENGTHS)
    code = length = 0
    for symbol in sorted(range(len(_LENGTHS)), key=lambda each: (_LENGTHS[each], each)):
        code <<= _LENGTHS[symbol] - length
        length = _LENGTHS[symbol]
        codes[symbol] = f"{code:0{length}b}"
        code += 1
    return codes


_CODES = _codes()
_BITS = dict(enumerate(_CODES[:_END]))


class _State:
    """A place in the middle of a code. `last`: a string may end here.

    `row`: by byte, the row of the state behind it and the text that it completes, or None where that was never asked
    for; behind all bytes the state itself. Most states are never between two bytes, and have none.
    """

    __slots__ = ("last", "next", "row")

    def __init__(self, last: bool) -> None:
        self.last = last
        self.row: list[Any] = []
        # By the next bit: a state, a symbol, or None while the tree is made.
        self.next: list[Any] = [None, None]

    def add(self, code: str, symbol: int) -> None:
        """code: what is left of the symbol's, from here."""
        bit = int(code[0])
        if len(code) == 1:
            self.next[bit] = symbol
            return
        if self.next[bit] is None:
            self.next[bit] = _State(False)
        self.next[bit].add(code[1:], symbol)

    def mark(self) -> None:
        """From the root: up to seven ones are padding."""
        state: Any = self
        for _ in range(8):
            state.last = True
            state = state.next[1]

    def make_row(self) -> list[Any]:
        self.row = self.row or [*[None] * _END, self]
        return self.row

    def learn(self, byte: int) -> tuple[list[Any], str]:
        """What a byte means here."""
        state: Any = self
        text = ""
        for shift in range(7, -1, -1):
            state = state.next[byte >> shift & 1]
            if isinstance(state, int):
                if state == _END:
                    raise HpackError("the end of a string inside of it")
                text += chr(state)
                state = _ROOT
        found = self.row[byte] = (state.make_row(), text)
        return found


def _make_root() -> _State:
    root = _State(True)
    for symbol, code in enumerate(_CODES):
        root.add(code, symbol)
    root.mark()
    return root


_ROOT: _State = _make_root()
_START = _ROOT.make_row()


def decode(data: bytes) -> str:
    """The text; HpackError where the code or its padding is wrong."""
    row = _START
    text = ""
    for byte in data:
        row, piece = row[byte] or row[_END].learn(byte)
        text += piece
    if not row[_END].last:
        raise HpackError("wrong padding")
    return text


def encode(text: str) -> bytes:
    bits = text.translate(_BITS)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""
