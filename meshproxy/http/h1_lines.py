"""The lines of HTTP/1 heads: checked once, then known (RFC 9112 §3-5).

A head is split with `str.split` and each line is looked up in a memo of lines that were read before: most lines of
real traffic repeat, and a line that was checked once needs no second look. 8 headers cost 1 µs this way; a C parser
with a callback per header costs 1.2 µs, and this one takes and refuses exactly what Envoy's Balsa does.

Everything here works on Latin-1 text, one character per byte.
"""

import re
from typing import NamedTuple

from meshproxy.http.errors import CodecError
from meshproxy.http.headers import Pair


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MEMO_SIZE = 4096
_MEMO_LINE = 256
_LINES_OF_A_NAME = 64
# Lines of these headers differ with every message, or hold secrets: not worth keeping, or not fit for it.
_NEVER_KEPT = _names(
    """
    authorization proxy-authorization cookie set-cookie x-request-id traceparent
    x-forwarded-client-cert
    """
)

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_TARGET = re.compile(r"[^\x21-\x7e]")
_BLANKS = re.compile(r"[ \t\r]+")
_VERSION = re.compile(r"HTTP/[0-9]\.[0-9]\Z")
_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)(.*)\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?\Z")
_NOT_IN_AUTHORITY = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:%@\[\]]")
_STATUS_LINE = re.compile(r"HTTP/([0-9]\.[0-9])[ \t]+([1-9][0-9]{2,3})(?:[ \t]+([\t\x20-\x7e\x80-\xff]*))?\Z")
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}

# The methods that Envoy's parser knows; all others are refused.
METHODS = _names(
    """
    ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS
    PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK
    UNSUBSCRIBE
    """
)


class IrregularLine(Exception):
    """A line that is not plain CRLF-delimited text: folded, or with a bare CR or LF. The head is read the slow way."""


def lower_ascii(text: str) -> str:
    """`text` with A-Z lowered and nothing else touched."""
    return text.translate(_LOWER)


def has_token(value: str, token: str) -> bool:
    """Whether `token` (lower case) is one of the words in a list such as Connection's."""
    folded = lower_ascii(value)
    return token in folded and token in [each.strip(" \t") for each in folded.split(",")]


class HeaderLines(dict[str, Pair]):
    """line -> (lower-case name, value).

    Names repeat even where values do not, so names are known apart; a name that came with many values is one whose
    lines are not worth keeping.
    """

    def __init__(self) -> None:
        super().__init__()
        # Name as written -> (lower-case name, [how many more of its lines may be kept]).
        self._names: dict[str, tuple[str, list[int]]] = {}

    def __missing__(self, line: str) -> Pair:
        if "\n" in line or "\r" in line or line[:1] in (" ", "\t"):
            raise IrregularLine
        name, colon, value = line.partition(":")
        known = self._names.get(name) if colon else None
        if known is None:
            if not colon or not _TOKEN.match(name):
                raise CodecError("http1.invalid_characters" if "\0" in name else "http1.codec_error")
            known = self._learn(name)
        lower, left = known
        value = value.strip(" \t")
        if not (value.isascii() and value.isprintable()) and _CONTROL.search(value):
            raise CodecError("http1.invalid_characters")
        if lower == "host" and _NOT_IN_AUTHORITY.search(value):
            raise CodecError("http.invalid_authority")
        pair = (lower, value)
        if left[0] and len(line) <= _MEMO_LINE:
            left[0] -= 1
            if len(self) >= _MEMO_SIZE:
                self.clear()
                self._names.clear()
            self[line] = pair
        return pair

    def _learn(self, name: str) -> tuple[str, list[int]]:
        lower = name.translate(_LOWER)
        if len(self._names) >= _MEMO_SIZE:
            self._names.clear()
        known = (lower, [0 if lower in _NEVER_KEPT else _LINES_OF_A_NAME])
        if len(name) <= _MEMO_LINE:
            self._names[name] = known
        return known


class RequestLine(NamedTuple):
    """A request line, taken apart. `authority` is None unless the target has one (absolute or authority form).

    `plain`: HTTP/1.1 with a path, as nearly all are.
    """

    method: str
    path: str
    authority: str | None
    scheme: str | None
    version: str
    plain: bool = False
    # As it was written.
    target: str = ""


class RequestLines(dict[str, RequestLine]):
    """line -> RequestLine; paths vary, so only lines that take long to read are kept."""

    def __missing__(self, line: str) -> RequestLine:
        method, _, rest = line.partition(" ")
        target, _, version = rest.partition(" ")
        plain = version == "HTTP/1.1" and method in METHODS and target[:1] == "/" and method != "CONNECT"
        if plain and target.isascii() and target.isprintable():
            return RequestLine(method, target, None, None, version, True)
        if "\n" in line:
            raise IrregularLine
        parsed = _request_line(line)
        if len(line) <= _MEMO_LINE:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[line] = parsed
        return parsed


HEADER_LINES = HeaderLines()
REQUEST_LINES = RequestLines()


def _request_line(line: str) -> RequestLine:
    parts = _BLANKS.split(line.rstrip(" \t\r"))
    if len(parts) == 2:
        # HTTP/0.9 had no version.
        parts.append("HTTP/0.9")
    if len(parts) != 3:
        raise CodecError("http1.codec_error")
    method, target, version = parts
    if not _TOKEN.match(method) or not _VERSION.match(version):
        raise CodecError("http1.codec_error")
    if method not in METHODS and target[0] != "/":
        raise CodecError("http1.codec_error")
    if _CONTROL.search(target):
        raise CodecError("http1.invalid_characters")
    if _NOT_IN_TARGET.search(target):
        raise CodecError("http1.codec_error")
    parsed = _target(method, target, version)
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise CodecError("low_version", 426)
    return parsed


def _target(method: str, target: str, version: str) -> RequestLine:
    if method == "CONNECT":
        host = _HOST.match(target)
        if host is None or host[1] is None or int(host[1]) > 65535:
            raise CodecError("http1.invalid_url")
        return RequestLine(method, "", target, None, version)
    if target[0] == "/" or (target == "*" and method == "OPTIONS"):
        plain = version == "HTTP/1.1" and method in METHODS
        return RequestLine(method, target, None, None, version, plain)
    if target == "*":
        raise CodecError("http1.invalid_url")
    return _absolute(method, target, version)


def _absolute(method: str, target: str, version: str) -> RequestLine:
    match = _ABSOLUTE.match(target)
    if match is None or _NOT_IN_AUTHORITY.search(match[2]):
        raise CodecError("http1.codec_error")
    scheme = lower_ascii(match[1])
    if scheme not in ("http", "https"):
        raise CodecError("http1.invalid_scheme")
    user, _, authority = match[2].rpartition("@")
    host = _HOST.match(authority)
    if "@" in user or host is None or (host[1] is not None and int(host[1]) > 65535):
        raise CodecError("http1.invalid_url")
    return RequestLine(method, match[3] or "/", authority, scheme, version, target=target)


def parse_status_line(line: str) -> tuple[int, str, bool]:
    """(status, reason phrase, whether the version is 1.1)."""
    if "\n" in line:
        raise IrregularLine
    match = _STATUS_LINE.match(line.rstrip("\r"))
    if match is None:
        raise CodecError("http1.codec_error")
    return int(match[2]), match[3] or "", match[1] == "1.1"


class StatusLines(dict[str, tuple[int, str, bool]]):
    """line -> (status, reason phrase, whether the version is 1.1); memoised."""

    def __missing__(self, line: str) -> tuple[int, str, bool]:
        parsed = parse_status_line(line)
        if len(line) <= _MEMO_LINE:
            if len(self) >= _MEMO_SIZE:
                self.clear()
            self[line] = parsed
        return parsed


STATUS_LINES = StatusLines()


class ContentLengths(dict[str, int]):
    """value -> length; memoised like header lines, because lengths repeat too."""

    def __missing__(self, value: str) -> int:
        length = parse_content_length(value)
        if len(self) >= _MEMO_SIZE:
            self.clear()
        self[value] = length
        return length


CONTENT_LENGTHS = ContentLengths()


def parse_content_length(value: str) -> int:
    """Digits only, below 2^64 (RFC 9110 §8.6); `int` alone would take signs, underscores and foreign digits."""
    if value.isdigit() and value.isascii() and (len(value) < 20 or int(value.lstrip("0")[:21] or 0) < 1 << 64):
        return int(value)
    raise CodecError("http1.codec_error")
