"""Headers that a level of the configuration adds and removes (core.v3.HeaderValueOption and *_headers_to_remove).

Each level becomes one callable, so that a route without edits has none to call. Within a level removals come first,
then what overwrites, then what is added; values are worked out from the headers as they were before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meshproxy.http.headers import Headers
from meshproxy.http.inline import add_header
from meshproxy.http.stream import Stream
from meshproxy.routing.route import RequestEdit, ResponseEdit

APPEND, ADD_IF_ABSENT, OVERWRITE, OVERWRITE_IF_PRESENT = range(4)


@dataclass(frozen=True, slots=True)
class HeaderValue:
    """One header to add. `format` gives a value that depends on the stream; else `text` is the value."""

    name: str
    text: str
    action: int = APPEND
    keep_empty: bool = False
    format: Callable[[Stream], str] | None = None


class HeaderEdit:
    """One level's additions and removals, on requests or on responses."""

    __slots__ = ("_add", "_remove")

    def __init__(self, add: Sequence[HeaderValue], remove: Sequence[str] = ()) -> None:
        self._add = tuple(value for value in add if value.text or value.format or value.keep_empty)
        self._remove = tuple(remove)

    def __bool__(self) -> bool:
        return bool(self._add or self._remove)

    def apply_to_request(self, stream: Stream) -> None:
        self.apply(stream, stream.request)

    def apply(self, stream: Stream, headers: Headers) -> None:
        for name in self._remove:
            headers.remove(name)
        overwritten: list[tuple[str, str]] = []
        added: list[tuple[str, str]] = []
        for value in self._add:
            name = value.name
            text = value.text if value.format is None else value.format(stream)
            if not text and not value.keep_empty:
                continue
            action = value.action
            if action == APPEND or (action == ADD_IF_ABSENT and name not in headers.index):
                added.append((name, text))
            elif action == OVERWRITE or (action == OVERWRITE_IF_PRESENT and name in headers.index):
                overwritten.append((name, text))
        for name, text in overwritten:
            headers.remove(name)
            headers.add(name, text)
        for name, text in added:
            add_header(headers, name, text)


def request_edits(edits: Sequence[HeaderEdit]) -> tuple[RequestEdit, ...]:
    """The calls that apply these levels, in this order, to a request."""
    return tuple(edit.apply_to_request for edit in edits if edit)


def response_edits(edits: Sequence[HeaderEdit]) -> tuple[ResponseEdit, ...]:
    """The calls that apply these levels, in this order, to a response."""
    return tuple(edit.apply for edit in edits if edit)
