import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.http.errors import CodecError
from meshproxy.http.h1_head import (
    INLINE_REQUEST,
    PROPER_NAMES,
    Http1Options,
    format_pairs,
    join_inline,
    parse_pairs,
    split_head,
    write_head,
)
from meshproxy.http.headers import RequestHeaders


@pytest.mark.parametrize(
    ("data", "lines", "taken"),
    [
        (b"a\r\nb\r\n\r\nrest", ["a", "b"], 8),
        (b"a\nb\n\nrest", ["a", "b"], 5),
        (b"\r\n\na\r\n\r\n", ["a"], 8),
        (b"a\r\nx: 1\r\n 2\r\n\t3\r\n\r\n", ["a", "x: 1 2\t3"], 19),
        (b"a\r\nx: 1\r\r\n\r\n", ["a", "x: 1"], 12),
    ],
)
def test_split_head(data: bytes, lines: list[str], taken: int) -> None:
    assert split_head(data, 1000) == (lines, taken)


def test_a_head_that_is_not_complete() -> None:
    assert split_head(b"a\r\nb\r\n", 1000) is None
    assert split_head(b"a\r\n\r\r\n", 1000) is None


def test_a_head_that_is_too_large() -> None:
    with pytest.raises(CodecError) as caught:
        split_head(b"a" * 2000, 1000)
    assert caught.value.status == 431


@given(st.binary(max_size=200))
def test_split_head_never_takes_more_than_there_is(data: bytes) -> None:
    head = split_head(data, 1000)
    if head is not None:
        assert 0 < head[1] <= len(data)
        assert data[head[1] - 1 : head[1]] == b"\n"


def test_bare_carriage_returns_in_values_are_dropped_and_in_names_refused() -> None:
    assert parse_pairs(["x: a\rb"]) == [("x", "ab")]
    with pytest.raises(CodecError):
        parse_pairs(["x\ry: a"])


def test_headers_held_once_are_joined_at_the_first_place() -> None:
    pairs = [("accept", "x"), ("x-a", "1"), ("accept", "y"), ("x-a", "2"), ("cookie", "a"), ("cookie", "b")]
    joined = [("accept", "x,y"), ("x-a", "1"), ("x-a", "2"), ("cookie", "a"), ("cookie", "b")]
    assert join_inline(pairs, INLINE_REQUEST) == joined


def test_proper_case_words() -> None:
    assert [PROPER_NAMES[name] for name in ("x-forwarded-for", "host", "x--a", "x_b")] == [
        "X-Forwarded-For",
        "Host",
        "X--A",
        "X_B",
    ]


def test_preserved_spelling_leaves_other_names_lower() -> None:
    request = RequestHeaders("GET", "/", "", [])
    request.spelling = {"x-a": "X-a"}
    assert format_pairs(request, [("x-a", "1"), ("x-new", "2")], Http1Options()) == [("X-a", "1"), ("x-new", "2")]


def test_write_head() -> None:
    assert write_head("GET / HTTP/1.1", [("a", "\xe9")]) == b"GET / HTTP/1.1\r\na: \xe9\r\n\r\n"
