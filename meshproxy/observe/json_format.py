"""One JSON object per log line: keys sorted, numbers and booleans kept, no spaces, as Envoy writes it."""

from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Any

from meshproxy.observe.json_text import dump, quote
from meshproxy.observe.operators import Exchange, Getter, Value

# What a text in the tree turned out to be: the value of an operator, or text that never changes.
Leaf = Callable[[str], Getter | str]

_MISSING = object()


def compile_tree(tree: dict[str, Any], leaf: Leaf, omit_empty: bool) -> Callable[[Exchange], str]:
    """A function from a stream to a line. The texts in `tree` are formats, which `leaf` compiles."""
    compiled = _compile(tree, leaf)
    if omit_empty:
        return lambda stream: dump(_filled(compiled, stream)) + "\n"
    getters: list[Getter] = []
    template = _template(compiled, getters)
    gets = tuple(getters)
    return lambda stream: template % tuple([_fast_dump(get(stream)) for get in gets])


def _compile(node: Any, leaf: Leaf) -> Any:
    if isinstance(node, str):
        return leaf(node)
    if isinstance(node, dict):
        return {key: _compile(node[key], leaf) for key in sorted(node)}
    if isinstance(node, list):
        return [_compile(item, leaf) for item in node]
    return node


def _template(node: Any, getters: list[Getter]) -> str:
    """The text of a line with %s where a getter's value goes."""

    def write(node: Any) -> str:
        if callable(node):
            getters.append(node)
            return "%s"
        if isinstance(node, dict):
            return "{" + ",".join([f"{write_text(key)}:{write(value)}" for key, value in node.items()]) + "}"
        if isinstance(node, list):
            return "[" + ",".join([write(item) for item in node]) + "]"
        return write_text(node)

    def write_text(value: Any) -> str:
        return dump(value).replace("%", "%%")

    return write(node) + "\n"


def _fast_dump(value: Value) -> str | int:
    if isinstance(value, str):
        return encode_basestring(value) if value.isascii() else quote(value)
    return value if type(value) is int else dump(value)


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
