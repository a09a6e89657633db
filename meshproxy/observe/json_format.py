"""One JSON object per log line: keys sorted, numbers and booleans kept, no spaces, as Envoy writes it."""

from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any

from meshproxy.observe.generate import generate
from meshproxy.observe.json_text import dump, quote
from meshproxy.observe.operators import Exchange, Getter

# What a text in the tree turned out to be: the value of an operator, or text that never changes.
Leaf = Callable[[str], Getter | str]

_MISSING = object()
# A value as JSON: plain text and whole numbers are most of them.
_VALUE = (
    "(plain(value) if value.isascii() else quote(value)) if type(value := {get}) is str "
    "else 'null' if value is None else value if type(value) is int else dump(value)"
)


def compile_tree(tree: dict[str, Any], leaf: Leaf, omit_empty: bool) -> Callable[[Exchange], str]:
    """A function from a stream to a line. The texts in `tree` are formats, which `leaf` compiles."""
    compiled = _compile(tree, leaf)
    if omit_empty:
        return lambda stream: dump(_filled(compiled, stream)) + "\n"
    names = {"plain": encode_basestring, "quote": quote, "dump": dump}
    return generate(_pieces(compiled), _VALUE, names)


def _compile(node: Any, leaf: Leaf) -> Any:
    if isinstance(node, str):
        return leaf(node)
    if isinstance(node, dict):
        return {key: _compile(node[key], leaf) for key in sorted(node)}
    if isinstance(node, list):
        return [_compile(item, leaf) for item in node]
    return node


def _pieces(node: Any) -> list[str | Getter]:
    """A line as fixed text, and the getters of the values between."""
    pieces: list[str | Getter] = []

    def write(node: Any) -> None:
        if callable(node):
            pieces.append(node)
        elif isinstance(node, dict):
            for place, (key, value) in enumerate(node.items()):
                pieces.append(f"{',' if place else '{'}{dump(key)}:")
                write(value)
            pieces.append("}" if node else "{}")
        elif isinstance(node, list):
            for place, item in enumerate(node):
                pieces.append("," if place else "[")
                write(item)
            pieces.append("]" if node else "[]")
        else:
            pieces.append(dump(node))

    write(node)
    return [*pieces, "\n"]


def _filled(node: Any, stream: Exchange) -> Any:
    """The tree with values, without those that are missing and the objects that have none left."""
    if callable(node):
        value = node(stream)
        return _MISSING if value is None else value
    if isinstance(node, dict):
        entries = {key: _filled(value, stream) for key, value in node.items()}
        return {key: value for key, value in entries.items() if value is not _MISSING and value != {}}
    if isinstance(node, list):
        items = [_filled(item, stream) for item in node]
        return [item for item in items if item is not _MISSING]
    return _MISSING if node is None else node
