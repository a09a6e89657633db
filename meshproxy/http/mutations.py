"""Changes to headers in the order of the configuration (envoy.config.common.mutation_rules.v3.HeaderMutation).

Unlike the header edits of routes, each mutation sees what the ones before it did.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from meshproxy.http.headers import Headers
from meshproxy.http.inline import add_header

if TYPE_CHECKING:
    from meshproxy.http.stream import Stream

Mutation = Callable[["Stream", Headers], None]


def remove(name: str) -> Mutation:
    return lambda _stream, headers: headers.remove(name)


def remove_matching(matches: Callable[[str], bool]) -> Mutation:
    """Removes every header whose name matches."""

    def mutate(_stream: "Stream", headers: Headers) -> None:
        names = frozenset([name for name in headers.index if matches(name)])
        if names:
            headers.remove_if(names)

    return mutate


def append(name: str, format: Callable[["Stream"], str], action: str, keep_empty: bool) -> Mutation:
    """Adds or overwrites; `action` is the name of the HeaderAppendAction. What is overwritten moves to the end."""

    def mutate(stream: "Stream", headers: Headers) -> None:
        value = format(stream)
        if not value and not keep_empty:
            return
        present = name in headers
        if action == "APPEND_IF_EXISTS_OR_ADD":
            add_header(headers, name, value)
        elif action == "ADD_IF_ABSENT":
            if not present:
                headers.add(name, value)
        elif present or action == "OVERWRITE_IF_EXISTS_OR_ADD":
            headers.remove(name)
            headers.add(name, value)

    return mutate
