"""How a route asks about the path: what an index can find, and what must be tried (RouteMatch.path_specifier)."""

from collections.abc import Callable
from dataclasses import dataclass

from meshproxy.http.stream import Stream

EXACT, PREFIX, SEPARATED_PREFIX, TEST = range(4)

# Predicate of what no index can answer: the stream, and its path without query and fragment.
PathTest = Callable[[Stream, str], bool]

_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True, slots=True)
class PathMatch:
    """`kind` EXACT, PREFIX or SEPARATED_PREFIX with `text` (ASCII case ignored if `fold`); or TEST with `test`."""

    kind: int
    text: str = ""
    fold: bool = False
    test: PathTest | None = None


def fold_case(text: str) -> str:
    """Lower case for ASCII letters alone: the text is Latin-1 bytes, and `str.lower` would change others."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def without_query(path: str) -> str:
    """The path up to `?` or `#`: what routes are matched against."""
    if "?" in path:
        path = path.partition("?")[0]
    if "#" in path:
        path = path.partition("#")[0]
    return path


def without_parameters(path: str) -> str:
    """The path without what follows a `;` in any of its segments."""
    return "/".join([segment.partition(";")[0] for segment in path.split("/")]) if ";" in path else path


def is_connect(stream: Stream, _path: str) -> bool:
    """Envoy's connect_matcher: CONNECT, or an upgrade to connect-udp."""
    request = stream.request
    return request.method == "CONNECT" or request.protocol == "connect-udp"
