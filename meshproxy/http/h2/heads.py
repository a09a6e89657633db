"""What heads and trailers must be like (RFC 9113 §8), as Envoy's codec judges them.

A head that was read before on its connection comes from the memo of the HPACK decoder and is not judged again: what is
made here must be copied before it is changed.
"""

import re
from dataclasses import dataclass

from meshproxy.http.errors import CodecError
from meshproxy.http.h1_head import INLINE_REQUEST, INLINE_RESPONSE, join_inline
from meshproxy.http.h1_lines import CONTENT_LENGTHS, lower_ascii
from meshproxy.http.h2.errors import (
    HEAD_TOO_LARGE,
    INVALID_HEADER,
    INVALID_MESSAGE,
    TOO_MANY_HEADERS,
    MessageInvalid,
)
from meshproxy.http.h2.options import Http2Options
from meshproxy.http.headers import Pair

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_PATH = re.compile(r"[^\x21-\x7e\x80-\xff]")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_NOT_IN_AUTHORITY = re.compile(r"[^A-Za-z0-9\-._~!$&'()*+,;=:%\[\]]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*\Z")

# They belong to one connection of HTTP/1 (RFC 9113 §8.2.2).
_FORBIDDEN = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_LOOKED_AT = _FORBIDDEN | {"te", "content-length", "host", "cookie"}
_NAMES_KEPT = 4096


@dataclass(slots=True)
class RequestHead:
    """A request's head. authority is None where it names none. length: content-length; -1 where there is none."""

    method: str
    path: str
    scheme: str
    authority: str | None
    protocol: str | None
    pairs: list[Pair]
    index: dict[str, str] | None
    length: int


@dataclass(slots=True)
class ResponseHead:
    """A response's head; length as of requests."""

    status: int
    pairs: list[Pair]
    index: dict[str, str] | None
    length: int


class _GoodNames(set[str]):
    """Names that were judged before."""

    def check(self, names: set[str]) -> None:
        for name in names:
            if not _NAME.match(name):
                raise MessageInvalid(INVALID_HEADER)
            if len(self) >= _NAMES_KEPT:
                self.clear()
            self.add(name)


_GOOD_NAMES = _GoodNames()


def _check_size(pairs: list[Pair], options: Http2Options) -> None:
    if len(pairs) > options.max_headers:
        raise MessageInvalid(TOO_MANY_HEADERS)
    if sum([len(name) + len(value) for name, value in pairs]) > options.max_head:
        raise MessageInvalid(HEAD_TOO_LARGE)


def _check_fields(pairs: list[Pair], index: dict[str, str]) -> None:
    """Characters of regular headers."""
    if not index.keys() <= _GOOD_NAMES:
        _GOOD_NAMES.check(index.keys() - _GOOD_NAMES)
    text = "".join([value for _, value in pairs])
    if not (text.isascii() and text.isprintable()) and _NOT_IN_VALUE.search(text):
        raise MessageInvalid(INVALID_HEADER)


def _split(pairs: list[Pair]) -> tuple[dict[str, str], list[Pair]]:
    """Pseudo headers, of which each comes once, has a value and stands in front; and the others."""
    pseudo: dict[str, str] = {}
    at = 0
    for name, value in pairs:
        if name[:1] != ":":
            break
        if not value or name in pseudo:
            raise MessageInvalid(INVALID_HEADER)
        pseudo[name] = value
        at += 1
    return pseudo, pairs[at:]


def _check_special(index: dict[str, str], fields: list[Pair]) -> int:
    """Headers that mean something to the codec; the content-length, of which there may be one."""
    te = index.get("te")
    if not _FORBIDDEN.isdisjoint(index) or (te is not None and lower_ascii(te) != "trailers"):
        raise MessageInvalid(INVALID_HEADER)
    length = index.get("content-length")
    if length is None:
        return -1
    if len(index) != len(fields) and len([1 for name, _ in fields if name == "content-length"]) > 1:
        raise MessageInvalid(INVALID_HEADER)
    try:
        return CONTENT_LENGTHS[length]
    except CodecError:
        raise MessageInvalid(INVALID_HEADER) from None


def parse_request(pairs: list[Pair], options: Http2Options) -> RequestHead:
    """MessageInvalid where the head is no request."""
    _check_size(pairs, options)
    pseudo, fields = _split(pairs)
    index = dict(fields)
    _check_fields(fields, index)
    length = -1
    if not _LOOKED_AT.isdisjoint(index):
        length = _check_special(index, fields)
        fields = _rearrange(fields, index.get("te"))
    method = pseudo.pop(":method", "")
    path = pseudo.pop(":path", "")
    scheme = pseudo.pop(":scheme", "")
    authority = pseudo.pop(":authority", None)
    protocol = pseudo.pop(":protocol", None)
    if pseudo or (protocol is not None and not options.allow_connect):
        raise MessageInvalid(INVALID_HEADER)
    _check_pseudo(method, path, scheme, authority)
    if not _is_whole(method, path, scheme, authority or index.get("host"), protocol):
        raise MessageInvalid(INVALID_MESSAGE)
    if method == "CONNECT" and protocol is None:
        length = -1
    if authority is None:
        authority = index.get("host")
    if len(index) != len(fields):
        index = dict(fields)
        if len(index) != len(fields):
            fields = join_inline(fields, INLINE_REQUEST)
            index = dict(fields)
    known = index if len(index) == len(fields) else None
    return RequestHead(method, path, scheme, authority, protocol, fields, known, length)


def _is_whole(method: str, path: str, scheme: str, authority: str | None, protocol: str | None) -> bool:
    """Whether nothing is missing of a request, or too much (RFC 9113 §8.3.1, §8.5; RFC 8441 §4)."""
    if method == "CONNECT" and protocol is None:
        return not path and not scheme and authority is not None
    if not (method and path and scheme) or authority is None or (protocol is not None and method != "CONNECT"):
        return False
    return path[0] == "/" or scheme not in ("http", "https") or (path == "*" and method == "OPTIONS")


def _check_pseudo(method: str, path: str, scheme: str, authority: str | None) -> None:
    """Characters of pseudo headers."""
    if (
        (method and not _TOKEN.match(method))
        or (path and _NOT_IN_PATH.search(path))
        or (scheme and not _SCHEME.match(scheme))
        or (authority is not None and _NOT_IN_AUTHORITY.search(authority))
    ):
        raise MessageInvalid(INVALID_HEADER)


def _rearrange(fields: list[Pair], te: str | None) -> list[Pair]:
    """The headers as Envoy passes them on.

    Host is the authority, or says nothing. Cookies may come one a line, so that each has its place in a table, and are
    one header at the end (RFC 9113 §8.2.3).
    """
    hosts = [value for name, value in fields if name == "host"]
    if len(hosts) > 1 or (hosts and (not hosts[0] or _NOT_IN_AUTHORITY.search(hosts[0]))):
        raise MessageInvalid(INVALID_HEADER)
    cookies = [value for name, value in fields if name == "cookie"]
    moved = {"host", "cookie"} if te in (None, "trailers") else {"host", "cookie", "te"}
    rest = [pair for pair in fields if pair[0] not in moved]
    if cookies:
        rest.append(("cookie", "; ".join(cookies)))
    return rest


def parse_response(pairs: list[Pair], options: Http2Options) -> ResponseHead:
    """MessageInvalid where the head is no response."""
    _check_size(pairs, options)
    pseudo, fields = _split(pairs)
    index = dict(fields)
    _check_fields(fields, index)
    length = _check_special(index, fields) if not _LOOKED_AT.isdisjoint(index) else -1
    status = pseudo.pop(":status", "")
    if pseudo or status == "101":
        raise MessageInvalid(INVALID_HEADER)
    if len(status) != 3 or not (status.isascii() and status.isdigit()):
        raise MessageInvalid(INVALID_MESSAGE)
    if length >= 0 and (status == "204" or status[0] == "1"):
        if length or status[0] == "1":
            raise MessageInvalid(INVALID_HEADER)
        fields = [pair for pair in fields if pair[0] != "content-length"]
        index.pop("content-length")
    if len(index) != len(fields):
        fields = join_inline(fields, INLINE_RESPONSE)
        index = dict(fields)
    return ResponseHead(int(status), fields, index if len(index) == len(fields) else None, length)


def parse_trailers(pairs: list[Pair], options: Http2Options) -> list[Pair]:
    """MessageInvalid where they are none."""
    _check_size(pairs, options)
    index = dict(pairs)
    _check_fields(pairs, index)
    if not _LOOKED_AT.isdisjoint(index):
        _check_special(index, pairs)
    return pairs
