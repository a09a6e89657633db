from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.http.chunked import ChunkedDecoder
from meshproxy.http.errors import CodecError


def decode(*pieces: bytes) -> tuple[bytes, bool, bytes, list[tuple[str, str]]]:
    decoder = ChunkedDecoder()
    body, ended, rest = b"", False, b""
    for piece in pieces:
        part, ended, rest = decoder.feed(piece)
        body += part
        if decoder.error is not None:
            raise decoder.error
        if ended:
            break
    return body, ended, rest, decoder.trailers


def test_whole() -> None:
    assert decode(b"2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nt: v\r\n\r\nNEXT") == (b"abcde", True, b"NEXT", [("t", "v")])


@pytest.mark.parametrize("size", [b"2 ", b"2\t", b"2;a", b"0002", b"2 x", b"2;\x01"])
def test_sizes_that_envoy_takes(size: bytes) -> None:
    assert decode(size + b"\r\nab\r\n0\r\n\r\n")[:2] == (b"ab", True)


@pytest.mark.parametrize(
    "data",
    [b"+2\r\n", b"-2\r\n", b"0x2\r\n", b" 2\r\n", b"\r\n", b"g\r\n", b"2\nab\n", b"2\r\r\n", b"2;a\rb\r\n",
     b"fffffffffffffffff\r\n", b"2\r\nab0\r\n\r\n", b"0\r\nx y\r\n\r\n"],
)  # fmt: skip
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode(data)


def test_a_line_without_end_is_bounded() -> None:
    decoder = ChunkedDecoder()
    for _ in range(100):
        decoder.feed(b"1;" + b"a" * 2000)
    assert decoder.error is not None


def test_trailers_are_bounded() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"0\r\n")
    for i in range(200):
        decoder.feed(b"t%d: v\r\n" % i)
    assert decoder.error is not None


def test_what_came_before_a_fault_is_handed_over() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"2\r\nab\r\nzz\r\n") == (b"ab", False, b"")
    assert decoder.error is not None


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=5), st.data())
def test_where_the_bytes_are_cut_makes_no_difference(chunks: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\nNEXT"
    end = len(wire) - len(b"NEXT")
    cuts = sorted({0, end, *data.draw(st.lists(st.integers(0, end), max_size=6))})
    pieces = [wire[a:b] for a, b in pairwise(cuts)]
    body, ended, rest, _ = decode(*pieces)
    assert (body, ended, rest) == (b"".join(chunks), True, b"")
