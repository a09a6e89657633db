"""Well-formed heads: httptools, an independent parser, reads from them what we read."""

from dataclasses import dataclass, field

import httptools
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.http.h1_head import parse_pairs, split_head
from meshproxy.http.h1_lines import HEADER_LINES, METHODS, REQUEST_LINES, parse_status_line
from meshproxy.http.headers import Pair

# What httptools gives a meaning of its own to, beyond reading it; and methods that it does not know.
_FRAMING = {"connection", "content-length", "host", "transfer-encoding", "upgrade"}
_UNKNOWN_THERE = {"CONNECT", "QUERY"}
_TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

methods = st.sampled_from(sorted(METHODS - _UNKNOWN_THERE))
targets = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60).map("/".__add__)
names = st.text(_TOKEN, min_size=1, max_size=20).filter(lambda name: name.lower() not in _FRAMING)
inner = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
values = st.text(inner, max_size=40).map(lambda text: text.strip(" \t"))
blanks = st.text(" \t", max_size=3)
lines = st.lists(st.tuples(names, blanks, values, blanks), max_size=12)


@dataclass
class Reading:
    """What httptools calls back with."""

    url: bytes = b""
    reason: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_status(self, reason: bytes) -> None:
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.complete = True

    def pairs(self) -> list[Pair]:
        # Blanks behind a value, which are none of it (RFC 9112 §5), are left to the caller there.
        return [(name.decode("latin-1").lower(), value.decode("latin-1").rstrip(" \t")) for name, value in self.headers]


def head(first: str, headers: list[tuple[str, str, str, str]]) -> bytes:
    text = "".join(f"{name}:{before}{value}{after}\r\n" for name, before, value, after in headers)
    return f"{first}\r\n{text}\r\n".encode("latin-1")


def both_ways(wire: bytes) -> tuple[str, list[Pair]]:
    """(first line, headers) as the quick reading gives them, which the lenient one must agree with."""
    first, *rest = wire[:-4].decode("latin-1").split("\r\n")
    pairs = [HEADER_LINES[line] for line in rest]
    assert split_head(wire, len(wire)) == ([first, *rest], len(wire))
    assert parse_pairs(rest) == pairs
    return first, pairs


@given(methods, targets, lines)
def test_requests(method: str, target: str, headers: list[tuple[str, str, str, str]]) -> None:
    wire = head(f"{method} {target} HTTP/1.1", headers)
    theirs = Reading()
    parser = httptools.HttpRequestParser(theirs)
    parser.feed_data(wire)
    first, pairs = both_ways(wire)
    line = REQUEST_LINES[first]
    assert theirs.complete
    assert (line.method, line.path) == (parser.get_method().decode(), theirs.url.decode("latin-1"))
    assert line.version == f"HTTP/{parser.get_http_version()}"
    assert pairs == theirs.pairs()


@given(st.integers(200, 599), st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20), lines)
def test_responses(status: int, reason: str, headers: list[tuple[str, str, str, str]]) -> None:
    wire = head(f"HTTP/1.1 {status} {reason}", headers)
    theirs = Reading()
    parser = httptools.HttpResponseParser(theirs)
    parser.feed_data(wire)
    first, pairs = both_ways(wire)
    assert theirs.complete
    assert parse_status_line(first) == (parser.get_status_code(), theirs.reason.decode(), True)
    assert pairs == theirs.pairs()
