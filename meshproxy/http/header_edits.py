"""Additions to a header map that the configuration asks for (envoy.config.core.v3.HeaderValueOption)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from meshproxy.http.headers import Headers, Pair

if TYPE_CHECKING:
    from meshproxy.http.stream import Stream

Format = Callable[["Stream"], str]

# Headers that Envoy holds one of: a value that is added joins the one that is there.
JOINED = frozenset(
    "accept accept-encoding access-control-allow-credentials access-control-allow-headers "
    "access-control-allow-methods access-control-allow-origin access-control-expose-headers access-control-max-age "
    "access-control-request-headers access-control-request-method age authorization cache-control connection "
    "content-encoding content-length content-type date etag expect expires forwarded grpc-accept-encoding grpc-message "
    "grpc-status grpc-timeout if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive "
    "last-modified location origin pragma proxy-connection proxy-status referer server te transfer-encoding upgrade "
    "user-agent vary via x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto "
    "x-request-id".split()
)


class HeaderAddition:
    """One header to add. `action` is the name of the HeaderAppendAction; `format` makes its value for a stream."""

    __slots__ = ("action", "format", "keep_empty", "name")

    def __init__(self, name: str, format: Format, action: str = "APPEND_IF_EXISTS_OR_ADD", keep_empty: bool = False):
        self.name = name
        self.format = format
        self.action = action
        self.keep_empty = keep_empty


def add_headers(stream: "Stream", headers: Headers, additions: tuple[HeaderAddition, ...]) -> None:
    """Adds them all. As in Envoy every value is made from the headers as they were, then what overwrites is written
    (at the end, not in place), then what is added."""
    added: list[Pair] = []
    overwritten: list[Pair] = []
    for addition in additions:
        value = addition.format(stream)
        if not value and not addition.keep_empty:
            continue
        name = addition.name
        action = addition.action
        if action == "APPEND_IF_EXISTS_OR_ADD":
            added.append((name, value))
        elif action == "ADD_IF_ABSENT":
            if name not in headers:
                added.append((name, value))
        elif action == "OVERWRITE_IF_EXISTS_OR_ADD" or name in headers:
            overwritten.append((name, value))
    for name, value in overwritten:
        headers.remove(name)
        headers.add(name, value)
    for name, value in added:
        add_header(headers, name, value)


def add_header(headers: Headers, name: str, value: str) -> None:
    """A line of its own, or joined to the one that is there where Envoy holds one line of that name."""
    if name in JOINED and name in headers:
        headers.append(name, value)
    else:
        headers.add(name, value)
