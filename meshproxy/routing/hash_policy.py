"""From a stream to the number by which hash balancers pick (envoy.config.route.v3.RouteAction.HashPolicy).

Text of a stream is Latin-1, a character for a byte: what is hashed are the bytes.
"""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from xxhash import xxh64_intdigest

from meshproxy.http.headers import PSEUDO, RequestHeaders, ResponseHeaders
from meshproxy.net.connection import Connection, address_text
from meshproxy.net.filter_state import HashableText

_MASK = (1 << 64) - 1

# From a stream (or a TCP session) to a hash; None where it has nothing of that kind.
Method = Callable[[Any], int | None]


class HashPolicy:
    """Several methods in one number. terminal: whether those after it count no more once there is a hash."""

    __slots__ = ("_methods",)

    def __init__(self, methods: Sequence[tuple[Method, bool]]) -> None:
        self._methods = tuple(methods)

    def __call__(self, stream: Any) -> int | None:
        number: int | None = None
        for method, terminal in self._methods:
            found = method(stream)
            if found is not None:
                # Turned by one bit, so that two equal ones do not cancel each other out.
                number = found if number is None else ((number << 1 | number >> 63) & _MASK) ^ found
            if terminal and number is not None:
                break
        return number


def by_header(name: str, rewrite: Callable[[str], str] | None = None) -> Method:
    """All values of a header, whatever their order."""
    attribute = PSEUDO.get(name)

    def method(stream: Any) -> int | None:
        request: RequestHeaders | None = stream.request
        if request is None:
            return None
        if attribute is not None:
            value = getattr(request, attribute)
            values = [value] if value else []
        else:
            values = request.get_all(name) if name in request.index else []
        if not values:
            return None
        if rewrite is not None:
            values = [rewrite(value) for value in values]
        return xxh64_intdigest("".join(sorted(values)).encode("latin-1"))

    return method


def by_query(name: str) -> Method:
    """The first value of a query parameter, not decoded."""

    def method(stream: Any) -> int | None:
        if stream.request is None:
            return None
        for pair in stream.request.path.partition("?")[2].partition("#")[0].split("&"):
            key, _, value = pair.partition("=")
            if key == name:
                return xxh64_intdigest(value.encode("latin-1"))
        return None

    return method


def by_source_ip(stream: Any) -> int | None:
    """The client's address without its port; a unix socket has none."""
    host, port = stream.peer
    return xxh64_intdigest(host.encode()) if port or (not host.startswith(("/", "@")) and host) else None


def by_filter_state(key: str) -> Method:
    """A text that a filter has kept as one to be hashed."""

    def method(stream: Any) -> int | None:
        for state in (stream.filter_state, stream.connection.filter_state):
            value = state.get(key) if state else None
            if isinstance(value, HashableText):
                return xxh64_intdigest(value.encode("latin-1"))
        return None

    return method


class Cookie:
    """A cookie; with a lifetime, one is made for clients that have none, and their response tells them.

    seconds: None makes none, 0 makes one for the client's session. attributes: those without a value are flags.
    """

    __slots__ = ("_attributes", "_name", "_path", "_seconds")

    def __init__(
        self, name: str, seconds: int | None = None, path: str = "", attributes: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._path = path
        self._attributes = tuple(attributes)

    def __call__(self, stream: Any) -> int | None:
        if stream.request is None:
            return None
        value = read_cookie(stream.request, self._name)
        # Where weighted clusters are drawn by hash there is no route yet, and nobody to tell a cookie.
        if not value and self._seconds is not None and stream.route is not None:
            value = _of_connection(stream.connection)
            _answer_with(stream, self._set_cookie(value))
        return xxh64_intdigest(value.encode("latin-1")) if value else None

    def _set_cookie(self, value: str) -> str:
        text = f'{self._name}="{value}"'
        if self._seconds:
            text += f"; Max-Age={self._seconds}"
        if self._path:
            text += f"; Path={self._path}"
        for name, content in self._attributes:
            text += f"; {name}={content}" if content else f"; {name}"
        return text + "; HttpOnly"


def read_cookie(request: RequestHeaders, name: str) -> str:
    """The first value of a cookie, without quotes; "" where there is none."""
    if "cookie" not in request.index:
        return ""
    for line in request.get_all("cookie"):
        for pair in line.split(";"):
            key, equals, value = pair.partition("=")
            if equals and key.lstrip(" ") == name:
                return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    return ""


def _of_connection(connection: Connection) -> str:
    """The same for all that comes over one connection."""
    text = address_text(connection.peer) + address_text(connection.local)
    return f"{xxh64_intdigest(text.encode()):016x}"


class _SetCookies:
    """Adds cookies to the response, if it comes from an upstream."""

    __slots__ = ("_cookies",)

    def __init__(self, *cookies: str) -> None:
        self._cookies = cookies

    def __call__(self, stream: Any, headers: ResponseHeaders) -> None:
        if stream.details == "via_upstream":
            for cookie in self._cookies:
                headers.add("set-cookie", cookie)

    def and_also(self, cookie: str) -> "_SetCookies":
        """A further try makes the same cookies again."""
        return self if cookie in self._cookies else _SetCookies(*self._cookies, cookie)


def _answer_with(stream: Any, cookie: str) -> None:
    # Few requests need one, and most routes none: this one goes its way with a route of its own.
    route = stream.route = copy(stream.route)
    edits = route.response_edits
    if edits and isinstance(edits[0], _SetCookies):
        route.response_edits = (edits[0].and_also(cookie), *edits[1:])
    else:
        route.response_edits = (_SetCookies(cookie), *edits)
