"""JSON as Envoy's pages write it: one space a level, text as UTF-8 but for what protobuf escapes."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

# Pieces of text between two turns of others; they take some tens of microseconds.
_MANY = 30
_SCALARS = frozenset({str, int, float, bool, type(None)})
# What protobuf's JSON writer does not let through as it is: markup, and characters that nobody sees.
_ESCAPED = re.compile(
    "[<>\x7f-\x9f\xad\u06dd\u070f\u17b4\u17b5\u200b-\u200f\u2028-\u202e\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb]"
)


def dump(tree: Any) -> Iterator[str]:
    """The text of a tree of dicts, lists and values, as a page's body.

    An iterator in the tree is an array whose items are made while they are written, so that others have their turn in
    between.
    """
    parts: list[str] = []
    for _ in _write(tree, "\n", parts):
        yield "".join(parts)
        parts.clear()
    parts.append("\n")
    yield "".join(parts)


def _write(tree: Any, line: str, parts: list[str]) -> Iterator[None]:
    """Adds to `parts`, and gives turns. `line`: line end and indentation in front of what closes `tree`."""
    if tree.__class__ in _SCALARS:
        parts.append(_scalar(tree))
    elif isinstance(tree, dict):
        yield from _write_object(tree, line, line + " ", parts)
    else:
        yield from _write_array(tree, line, line + " ", parts)


def _write_object(tree: dict[str, Any], line: str, inner: str, parts: list[str]) -> Iterator[None]:
    lead = "{"
    for name, value in tree.items():
        if value.__class__ in _SCALARS:
            parts.append(f"{lead}{inner}{_name(name)}: {_scalar(value)}")
        else:
            parts.append(f"{lead}{inner}{_name(name)}: ")
            yield from _write(value, inner, parts)
        lead = ","
    parts.append(line + "}" if lead == "," else "{}")


def _write_array(items: Iterable[Any], line: str, inner: str, parts: list[str]) -> Iterator[None]:
    lead = "["
    for value in items:
        parts.append(lead + inner)
        yield from _write(value, inner, parts)
        lead = ","
        if len(parts) >= _MANY:
            yield
    parts.append(line + "]" if lead == "," else "[]")


def _scalar(value: Any) -> str:
    return _text(value) if value.__class__ is str else json.dumps(value)


def _text(text: str) -> str:
    quoted = encode_basestring(text)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted) if _ESCAPED.search(quoted) else quoted


# Names are few, and come again and again.
_name = lru_cache(4096)(_text)
