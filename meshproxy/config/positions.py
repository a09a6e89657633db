"""Where in the files a path is: worked out from the text again, and only when there is something to report.

Keeping the position of every value while reading would double the time of every start that goes well. Several sources
lie over each other as their messages do: mappings are merged, lists joined, and of two values the later counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from meshproxy.config.source import Source

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]", re.DOTALL)


class _Place(NamedTuple):
    """Something written in a file: the file's name, its key ("" in a list), where key or element begins, its node."""

    file: str
    key: str
    mark: Any
    node: Any

    def __str__(self) -> str:
        return f"{self.file}:{self.mark.line + 1}:{self.mark.column + 1}"


class Positions:
    """Finds paths in the sources that a configuration was read from."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def locate(self, path: str) -> str:
        """`file:line:column` of what `path` names, or of the nearest thing around it that is written down."""
        places = self._roots
        for name, index, key in _steps(path):
            inner = _fields(places, name) if name else _elements(places, index, key)
            if not inner:
                break
            places = inner
        if places:
            return str(places[-1])
        return self._sources[0].name if self._sources else ""

    @cached_property
    def _roots(self) -> list[_Place]:
        roots = []
        for source in self._sources:
            node = _compose(source.text)
            if node is not None:
                roots.append(_Place(source.name, "", node.start_mark, node))
        return roots


def _compose(text: str) -> Any:
    from yaml import CSafeLoader, YAMLError

    loader = CSafeLoader(text.removeprefix("\ufeff"))
    try:
        return loader.get_node() if loader.check_node() else None
    except YAMLError:
        return None  # JSON that YAML cannot read: there is no position to give
    finally:
        loader.dispose()


def _steps(path: str) -> Iterator[tuple[str | None, int | None, str | None]]:
    for match in _STEP.finditer(path):
        name, index, key = match.groups()
        yield name, int(index) if index else None, re.sub(r"\\(.)", r"\1", key) if key is not None else None


def _fields(places: list[_Place], name: str) -> list[_Place]:
    spellings = (name, re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name))
    entries = [entry for place in places for entry in _entries(place)]
    found = [entry for entry in entries if entry.key in spellings]
    if found or not any(entry.key == "@type" for entry in entries):
        return found
    # What is in the envelope of a TypedStruct is one level further in.
    values = [inner for entry in entries if entry.key == "value" for inner in _entries(entry)]
    return [entry for entry in values if entry.key in spellings]


def _elements(places: list[_Place], index: int | None, key: str | None) -> list[_Place]:
    items = [item for place in places for item in _items(place)]
    if index is not None:
        return items[index : index + 1]
    keyed = [entry for place in places for entry in _entries(place) if entry.key == key]
    return keyed or [item for item in items if _name(item) == key]


def _name(place: _Place) -> Any:
    return next((entry.node.value for entry in _entries(place) if entry.key == "name"), None)


def _entries(place: _Place) -> list[_Place]:
    """The entries of a mapping."""
    if place.node.id != "mapping":
        return []
    return [_Place(place.file, key.value, key.start_mark, value) for key, value in place.node.value]


def _items(place: _Place) -> list[_Place]:
    """The elements of a list; a single value stands for a list of one."""
    if place.node.id != "sequence":
        return [place]
    return [_Place(place.file, "", node.start_mark, node) for node in place.node.value]
