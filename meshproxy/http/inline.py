"""Headers that Envoy holds one of: a value that is added joins the one that is there."""

from meshproxy.http.h1_head import INLINE_REQUEST, INLINE_RESPONSE
from meshproxy.http.headers import Headers

_INLINE = INLINE_REQUEST | INLINE_RESPONSE


def add_header(headers: Headers, name: str, value: str) -> None:
    """A line of its own, or joined by "," to the one that is there where Envoy holds one line of that name."""
    if name in _INLINE and name in headers:
        headers.append(name, value)
    else:
        headers.add(name, value)
