"""JSON as Envoy's pages write it: one space a level, text as UTF-8 but for what protobuf escapes."""

import json
import re
from collections.abc import Iterator
from json.encoder import encode_basestring
from typing import Any

# What protobuf's JSON writer does not let through as it is: markup, and characters that nobody sees.
_ESCAPED = re.compile(
    "[<>\x7f-\x9f\xad\u06dd\u070f\u17b4\u17b5\u200b-\u200f\u2028-\u202e\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb]"
)


def dump(tree: Any) -> Iterator[bytes]:
    """The text of a tree of dicts, lists and values, as a page's body.

    An iterator in the tree is an array whose items are made while they are written, so that others have their turn in
    between.
    """
    for text in _write(tree, "\n"):
        yield text.encode()
    yield b"\n"


def _write(tree: Any, line: str) -> Iterator[str]:
    """`line`: the line end and indentation in front of what closes `tree`."""
    inner = line + " "
    if isinstance(tree, dict):
        lead, close = "{", "}"
        for name, value in tree.items():
            if isinstance(value, (dict, list, Iterator)):
                yield f"{lead}{inner}{_text(name)}: "
                yield from _write(value, inner)
            else:
                yield f"{lead}{inner}{_text(name)}: {_scalar(value)}"
            lead = ","
    elif isinstance(tree, (list, Iterator)):
        lead, close = "[", "]"
        for value in tree:
            yield lead + inner
            yield from _write(value, inner)
            lead = ","
    else:
        yield _scalar(tree)
        return
    yield lead + close if lead != "," else line + close


def _scalar(value: Any) -> str:
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    quoted = encode_basestring(text)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted) if _ESCAPED.search(quoted) else quoted
