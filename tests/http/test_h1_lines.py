import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.http.errors import CodecError
from meshproxy.http.h1_lines import (
    HeaderLines,
    IrregularLine,
    RequestLines,
    lower_ascii,
    parse_content_length,
    parse_status_line,
)


def refusal(work, line):  # type: ignore[no-untyped-def]
    with pytest.raises(CodecError) as caught:
        work(line)
    return caught.value.details, caught.value.status


def test_header_lines_are_lowered_and_trimmed() -> None:
    assert HeaderLines()["X-A: \t b c \t"] == ("x-a", "b c")
    assert HeaderLines()["x:"] == ("x", "")
    assert HeaderLines()["x: caf\xe9\xa0"] == ("x", "caf\xe9\xa0")


@pytest.mark.parametrize("line", ["x", ": a", "x : a", "x y: a", "x\xe9: a", "x(: a"])
def test_header_names_are_tokens(line: str) -> None:
    assert refusal(HeaderLines().__getitem__, line) == ("http1.codec_error", 400)


@pytest.mark.parametrize("value", ["a\x00", "a\x01b", "\x0ba", "a\x7f"])
def test_control_characters_are_refused(value: str) -> None:
    assert refusal(HeaderLines().__getitem__, f"x: {value}") == ("http1.invalid_characters", 400)


@pytest.mark.parametrize("line", [" folded", "\tfolded", "a: b\nc", "a: b\rc"])
def test_irregular_lines_are_left_to_the_lenient_reading(line: str) -> None:
    with pytest.raises(IrregularLine):
        HeaderLines()[line]


def test_secrets_and_long_lines_are_not_kept() -> None:
    memo = HeaderLines()
    for line in ("Authorization: Basic eDp5", "Cookie: a=b", "x: " + "a" * 300):
        _ = memo[line]
    assert not memo
    _ = memo["accept: */*"]
    assert memo == {"accept: */*": ("accept", "*/*")}


def test_the_memo_is_bounded() -> None:
    memo = HeaderLines()
    for i in range(5000):
        _ = memo[f"x: {i}"]
    assert len(memo) <= 4096


def test_a_host_with_characters_of_no_authority_is_refused() -> None:
    assert refusal(HeaderLines().__getitem__, "Host: a b") == ("http.invalid_authority", 400)
    assert HeaderLines()["Host: [::1]:80"] == ("host", "[::1]:80")


@pytest.mark.parametrize(
    ("line", "method", "path", "authority", "scheme"),
    [
        ("GET /a?b HTTP/1.1", "GET", "/a?b", None, None),
        ("GET  /\tHTTP/1.1 ", "GET", "/", None, None),
        ("OPTIONS * HTTP/1.1", "OPTIONS", "*", None, None),
        ("GET http://u:p@b:99/x HTTP/1.1", "GET", "/x", "b:99", "http"),
        ("GET HTTPS://B HTTP/1.1", "GET", "/", "B", "https"),
        ("GET http://[::1]:80/x HTTP/1.1", "GET", "/x", "[::1]:80", "http"),
        ("CONNECT a:80 HTTP/1.1", "CONNECT", "", "a:80", None),
    ],
)
def test_request_lines(line: str, method: str, path: str, authority: str | None, scheme: str | None) -> None:
    parsed = RequestLines()[line]
    assert (parsed.method, parsed.path, parsed.authority, parsed.scheme) == (method, path, authority, scheme)


@pytest.mark.parametrize(
    ("line", "details", "status"),
    [
        ("GET / HTTP/1.10", "http1.codec_error", 400),
        ("GET /a b HTTP/1.1", "http1.codec_error", 400),
        ("GET /\xe9 HTTP/1.1", "http1.codec_error", 400),
        ("GET /\x01 HTTP/1.1", "http1.invalid_characters", 400),
        ("GET a HTTP/1.1", "http1.codec_error", 400),
        ("GET * HTTP/1.1", "http1.invalid_url", 400),
        ("GET ftp://b/x HTTP/1.1", "http1.invalid_scheme", 400),
        ("GET http://b:99999/ HTTP/1.1", "http1.invalid_url", 400),
        ("GET http:///x HTTP/1.1", "http1.invalid_url", 400),
        ("CONNECT a HTTP/1.1", "http1.invalid_url", 400),
        ("GET / HTTP/1.2", "low_version", 426),
        ("GET /", "low_version", 426),
    ],
)
def test_request_lines_that_are_refused(line: str, details: str, status: int) -> None:
    assert refusal(RequestLines().__getitem__, line) == (details, status)


def test_methods_that_nobody_knows_are_not_plain() -> None:
    assert RequestLines()["GET / HTTP/1.1"].plain
    assert not RequestLines()["get / HTTP/1.1"].plain
    assert not RequestLines()["FOO / HTTP/1.1"].plain


@given(st.text(st.characters(max_codepoint=255)))
def test_any_line_is_taken_refused_or_irregular(line: str) -> None:
    for memo in (RequestLines(), HeaderLines()):
        try:
            memo[line]
        except (CodecError, IrregularLine):
            pass


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("HTTP/1.1 200 OK", (200, "OK", True)),
        ("HTTP/1.1 404", (404, "", True)),
        ("HTTP/1.0 200 Fine \xe9", (200, "Fine \xe9", False)),
        ("HTTP/1.1  999  X", (999, "X", True)),
    ],
)
def test_status_lines(line: str, expected: tuple[int, str, bool]) -> None:
    assert parse_status_line(line) == expected


@pytest.mark.parametrize("line", ["hi", "HTTP/1.1 099 X", "HTTP/1.1 99 X", "http/1.1 200 OK", "HTTP/1.1 abc", ""])
def test_status_lines_that_are_refused(line: str) -> None:
    assert refusal(parse_status_line, line)[0] == "http1.codec_error"


@pytest.mark.parametrize(
    "text", ["", "+2", "-2", "1_0", "0x2", "2 2", "2,2", "\u0662", "\xb2", "18446744073709551616", "9" * 30]
)
def test_content_lengths_that_are_refused(text: str) -> None:
    assert refusal(parse_content_length, text)[0] == "http1.codec_error"


def test_content_lengths() -> None:
    assert parse_content_length("0") == 0
    assert parse_content_length("002") == 2
    assert parse_content_length("18446744073709551615") == (1 << 64) - 1


def test_lower_ascii_touches_nothing_else() -> None:
    assert lower_ascii("AbÀ\xb5Z") == "abÀ\xb5z"
