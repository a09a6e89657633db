"""Header blocks beside the `hpack` library, in both directions, and what must be refused."""

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.http.h2 import huffman
from meshproxy.http.h2.errors import HpackError
from meshproxy.http.h2.hpack_decoder import HpackDecoder
from meshproxy.http.h2.hpack_encoder import HpackEncoder

NAMES = (":status", ":path", "a", "x-request-id", "cookie", "authorization", "content-type", "server", "etag", "x" * 70)
pair = st.tuples(
    st.sampled_from(NAMES), st.one_of(st.sampled_from(["", "200", "gzip", "/"]), st.text("\x00aé~\xff", max_size=40))
)
blocks = st.lists(st.tuples(st.lists(pair, max_size=12), st.sampled_from([None, 0, 60, 300, 4096])), max_size=12)


def raw(pairs: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


@settings(max_examples=5000, deadline=None)
@given(blocks, st.booleans())
def test_what_the_library_writes_is_read(many: list[tuple[list[tuple[str, str]], int | None]], coded: bool) -> None:
    theirs, ours = hpack.Encoder(), HpackDecoder()
    for pairs, size in many:
        if size is not None:
            theirs.header_table_size = size
        assert ours.decode(theirs.encode(raw(pairs), huffman=coded)) == pairs


@settings(max_examples=5000, deadline=None)
@given(blocks, st.sampled_from([0, 100, 4096]))
def test_what_we_write_is_read_by_the_library(
    many: list[tuple[list[tuple[str, str]], int | None]], limit: int
) -> None:
    ours, theirs = HpackEncoder(limit), hpack.Decoder()
    for pairs, size in many:
        if size is not None:
            ours.resize(size)
        assert [tuple(each) for each in theirs.decode(ours.encode(pairs), raw=True)] == raw(pairs)


@settings(max_examples=5000, deadline=None)
@given(st.lists(st.binary(max_size=24), max_size=4))
def test_garbage_is_refused_where_the_library_refuses_it(garbage: list[bytes]) -> None:
    theirs, ours = hpack.Decoder(), HpackDecoder()
    for block in garbage:
        try:
            expected = [tuple(each) for each in theirs.decode(block, raw=True)]
        except (hpack.HPACKError, IndexError):
            with pytest.raises(HpackError):
                ours.decode(block)
            return
        try:
            assert raw(ours.decode(block)) == expected
        except HpackError:
            # Stricter: a table update behind a header (RFC 7541 §4.2), a number of more bits than anybody needs.
            return


@settings(max_examples=5000, deadline=None)
@given(st.text([chr(code) for code in range(256)], max_size=60))
def test_huffman_there_and_back(text: str) -> None:
    assert huffman.decode(huffman.encode(text)) == text


@pytest.mark.parametrize(
    "block",
    ["80", "ff80808080808000", "bf", "40", "4001", "400161", "8220", "3fe2ff03", "0082ffff00", "0085ffffffffff00",
     "00810000"],
)  # fmt: skip
def test_what_is_refused(block: str) -> None:
    with pytest.raises(HpackError):
        HpackDecoder().decode(bytes.fromhex(block))


def test_a_table_that_was_made_smaller_must_be_confirmed() -> None:
    decoder = HpackDecoder()
    decoder.announce(100)
    with pytest.raises(HpackError):
        decoder.decode(b"\x82")
    decoder = HpackDecoder()
    decoder.announce(100)
    assert decoder.decode(b"\x3f\x45\x82") == [(":method", "GET")]


def test_a_block_is_known_until_the_table_changes() -> None:
    decoder = HpackDecoder()
    decoder.decode(b"\x82")
    assert not decoder.changed
    decoder.known_heads[b"\x82"] = "known"
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.changed and not decoder.known_heads


def test_what_repeats_is_one_byte() -> None:
    encoder = HpackEncoder(4096)
    pairs = [(":status", "200"), ("server", "envoy"), ("x-a", "b")]
    assert len(encoder.encode(pairs)) > 3
    assert len(encoder.encode(pairs)) == 3


def test_secrets_and_what_never_repeats_get_no_place() -> None:
    encoder = HpackEncoder(4096)
    pairs = [("authorization", "secret"), ("cookie", "short"), ("x-request-id", "1" * 200)]
    assert encoder.encode(pairs) == encoder.encode(pairs)
