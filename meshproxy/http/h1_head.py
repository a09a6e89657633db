"""Reading and writing whole HTTP/1 heads, and the headers that Envoy holds one of."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from meshproxy.http.errors import CodecError
from meshproxy.http.h1_lines import HEADER_LINES, METHODS, REQUEST_LINES, IrregularLine
from meshproxy.http.headers import Headers, Pair, RequestHeaders, ResponseHeaders


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(slots=True)
class Http1Options:
    """envoy.config.core.v3.Http1ProtocolOptions, for either side. Sizes in bytes."""

    accept_http_10: bool = False
    default_host_for_http_10: str = ""
    enable_trailers: bool = False
    allow_absolute_url: bool = True
    # Transfer-Encoding beside Content-Length is taken, and Content-Length removed, instead of refused.
    allow_chunked_length: bool = False
    # Towards an upstream: absolute-form targets, as for a proxy.
    send_fully_qualified_url: bool = False
    # header_key_format: "" (lower case), "proper" (Proper-Case-Words) or "preserve" (as the peer wrote it).
    key_format: str = ""
    forward_reason_phrase: bool = False
    # Preserve-case: headers that Envoy adds are written as Proper-Case-Words.
    proper_own_headers: bool = False
    max_head: int = 60 * 1024
    max_headers: int = 100
    # headers_with_underscores_action: "allow", "reject" or "drop".
    underscores: str = "allow"
    # Any token is a method.
    allow_custom_methods: bool = False
    # ignore_http_11_upgrade: matchers of upgrades that are taken out of a request.
    ignored_upgrades: tuple[Callable[[str], bool], ...] = ()

    @property
    def unusual(self) -> bool:
        """Whether every request needs a second look."""
        return bool(self.key_format) or self.underscores != "allow"


# Headers that Envoy holds one of: repeated lines are joined at the place of the first.
INLINE_REQUEST = _names(
    """
    accept accept-encoding access-control-request-headers access-control-request-method
    access-control-request-private-network authentication authorization cache-control cdn-loop client-trace-id
    connection content-encoding content-length content-type expect forwarded grpc-accept-encoding grpc-timeout
    if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive origin pragma proxy-connection
    proxy-status range referer te transfer-encoding upgrade user-agent via x-client-trace-id x-forwarded-client-cert
    x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id
    """
)
INLINE_RESPONSE = _names(
    """
    access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-allow-private-network access-control-expose-headers
    access-control-max-age age cache-control connection content-encoding content-length content-type date etag
    expires grpc-message grpc-status keep-alive last-modified location proxy-connection proxy-status server
    transfer-encoding upgrade vary via x-request-id
    """
)


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


def split_head(data: bytes, limit: int) -> tuple[list[str], int] | None:
    """(lines, bytes taken) of a head that starts `data`, read leniently; None while it is not complete.

    What Envoy's parser takes: empty lines in front, LF alone as a line end, folded values (joined), and CR
    inside a value (dropped). Only heads that are not plain go this way.
    """
    lines: list[str] = []
    at = 0
    while True:
        end = data.find(b"\n", at)
        if end < 0 or end > limit:
            if len(data) > limit:
                raise CodecError("http1.headers_too_large", 431)
            return None
        line = data[at:end].rstrip(b"\r").decode("latin-1")
        # Only CR LF or LF alone ends a head: "\r\r\n" does not.
        empty = not line and end - at <= 1
        at = end + 1
        if empty:
            if lines:
                return lines, at
        elif len(lines) > 1 and line[:1] in (" ", "\t"):
            lines[-1] += line
        else:
            lines.append(line)


def check_first_line(data: bytes, options: Http1Options) -> None:
    """Refuses what cannot become a head: a first line that is none of HTTP, or one of HTTP/0.9, which ends there."""
    start = data.lstrip(b"\r\n")
    end = start.find(b"\n")
    if end < 0:
        return
    line = start[:end].rstrip(b" \t\r").decode("latin-1")
    try:
        method = REQUEST_LINES[line].method
    except CodecError as error:
        if error.status == 400 or len(line.split()) == 2:
            raise
    else:
        if method not in METHODS and not options.allow_custom_methods:
            raise CodecError("http1.codec_error")


def parse_pairs(lines: list[str]) -> list[Pair]:
    """Header lines of a head that was read leniently."""
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if "\r" in name:
            raise CodecError("http1.codec_error")
        try:
            pairs.append(HEADER_LINES[name + colon + value.replace("\r", "")])
        except IrregularLine:
            raise CodecError("http1.codec_error") from None
    return pairs


def spelling_of(lines: list[str]) -> dict[str, str]:
    """Lower-case name -> name as written, for header_key_format preserve_case."""
    names = [line.partition(":")[0] for line in lines]
    return {name.lower(): name for name in names if name.isascii()}


class ProperNames(dict[str, str]):
    """name -> Proper-Case-Words: the first letter and each that follows `-` or another symbol is a capital."""

    def __missing__(self, name: str) -> str:
        proper = re.sub(r"(?:^|[^a-z])[a-z]", lambda match: match[0].upper(), name)
        if len(self) < 4096:
            self[name] = proper
        return proper


PROPER_NAMES = ProperNames()


def format_pairs(headers: Headers, pairs: list[Pair], options: Http1Options) -> list[Pair]:
    """The pairs with names spelled as header_key_format asks."""
    spelling = headers.spelling if isinstance(headers, (RequestHeaders, ResponseHeaders)) else None
    if spelling is not None:
        own = PROPER_NAMES if options.proper_own_headers else None
        return [(spelling.get(name) or (own[name] if own else name), value) for name, value in pairs]
    if options.key_format == "proper":
        return [(PROPER_NAMES[name], value) for name, value in pairs]
    return pairs


def write_head(first_line: str, pairs: list[Pair]) -> bytes:
    """A head with its closing empty line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in pairs])
    return f"{first_line}\r\n{lines}\r\n".encode("latin-1")
