"""From a file to a plain tree: dicts, lists, text, numbers, true, false and None, as JSON has them.

What Envoy does to a YAML scalar on its way to JSON is done here too: `yes`, `on` and `y` are true, `0x10` is 16 and
`010` is 8, `0.5` stays text (a number field takes it all the same), what is quoted is text. As in Envoy, a file is
YAML if it is called `.yaml` or `.yml` and JSON otherwise, a key that is set twice means its last value (a warning
here), only the first document of a file counts, and a key tagged `!ignore` is skipped (a place for anchors).

Trees are small programs: aliases can repeat or contain each other. Both are bounded, as is the depth.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from meshproxy.config.errors import ConfigError, Problem

MAX_DEPTH = 100
MAX_ALIASED = 1_000_000
"""How many nodes all aliases of a file together may stand for."""

_YAML_NAMES = (".yaml", ".yml")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS = {
    spelling: value
    for value, words in ((True, ("y", "yes", "true", "on")), (False, ("n", "no", "false", "off")))
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
}
_INT = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*))", re.ASCII)
_INT32 = range(-(1 << 31), 1 << 31)
_INT64 = range(-(1 << 63), 1 << 63)
_MISSING = object()

# A double-quoted text (left alone), a single-quoted one, a key without quotes, a comma before a closing bracket.
_FORGIVABLE = re.compile(r"""("(?:[^"\\]|\\.)*")|'((?:[^'\\]|\\.)*)'|([A-Za-z_]\w*)(?=\s*:)|,(?=\s*[}\]])""", re.ASCII)


@dataclass(slots=True)
class Source:
    """One configuration file (or text from the command line), read.

    `tree` is what it says; `remarks` are warnings about how it says it.
    """

    name: str
    text: str
    tree: Any
    remarks: list[Problem] = field(default_factory=list)


def read(path: str) -> Source:
    """Read the file at `path`; raises `ConfigError`."""
    text = read_text(path)
    return _yaml(path, text) if path.lower().endswith(_YAML_NAMES) else _json(path, text)


def inline(text: str, name: str = "--config-yaml") -> Source:
    """Read YAML (so also JSON) given as text; raises `ConfigError`."""
    return _yaml(name, text)


def read_text(path: str) -> str:
    """The text of a file; raises `ConfigError`."""
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error


def read_bytes(path: str) -> bytes:
    """The bytes of a file; raises `ConfigError`."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory, not a file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path!r}: not a file name: {error}") from error


def _json(name: str, text: str) -> Source:
    source = Source(name, text, None)
    try:
        source.tree = _load_json(source, text)
    except RecursionError:
        raise ConfigError(f"{name}: nested more than {MAX_DEPTH} deep") from None
    except json.JSONDecodeError as error:
        if not text.strip():
            raise ConfigError(f"{name}: the file is empty") from None
        hint = "" if text.lstrip().startswith("{") else " (a file that is not called .yaml or .yml must be JSON)"
        raise ConfigError(f"{name}:{error.lineno}:{error.colno}: broken JSON: {error.msg}{hint}") from None
    _check_depth(source)
    return _mapping_only(source)


def _load_json(source: Source, text: str) -> Any:
    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        tree = dict(pairs)
        if len(tree) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = sorted({key for key in keys if keys.count(key) > 1})
            source.remarks.append(Problem("", _twice(", ".join(map(repr, twice))), "ignored", source.name))
        return tree

    def no_number(constant: str) -> NoReturn:
        raise ConfigError(f"{source.name}: broken JSON: {constant} is not a number in JSON")

    def load(text: str) -> Any:
        return json.loads(text, strict=False, object_pairs_hook=mapping, parse_constant=no_number)

    try:
        return load(text)
    except json.JSONDecodeError:
        try:
            return load(_FORGIVABLE.sub(_forgive, text))
        except json.JSONDecodeError:
            pass  # what is wrong is something else: the first error says it, with its place in the file
        raise


def _forgive(match: re.Match[str]) -> str:
    """Write the way that JSON demands what Envoy's reader lets pass."""
    _, single, bare = match.groups()
    if single is not None:
        return json.dumps(single.replace("\\'", "'"), ensure_ascii=False).replace("\\\\", "\\")
    return f'"{bare}"' if bare else "" if match[0] == "," else match[0]


def _check_depth(source: Source) -> None:
    level = [source.tree]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for tree in level
            if isinstance(tree, dict | list)
            for child in (tree.values() if isinstance(tree, dict) else tree)
        ]
    if level:
        raise ConfigError(f"{source.name}: nested more than {MAX_DEPTH} deep")


def _yaml(name: str, text: str) -> Source:
    # Importing yaml costs 25 ms, which a JSON file need not pay.
    from yaml import YAMLError

    source = Source(name, text, None)
    try:
        source.tree = _YamlTree(source).build()
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        raise ConfigError(f"{where}: broken YAML: {reason}") from None
    return _mapping_only(source)


def _mapping_only(source: Source) -> Source:
    if source.tree is None:
        raise ConfigError(f"{source.name}: the file is empty")
    if not isinstance(source.tree, dict):
        kind = "a list" if isinstance(source.tree, list) else "a single value"
        raise ConfigError(f"{source.name}: the top of a configuration must be a mapping, not {kind}")
    return source


class _YamlTree:
    """Builds the tree straight from libyaml's events: a third of the time that composing nodes takes."""

    def __init__(self, source: Source) -> None:
        from yaml import events
        from yaml._yaml import CParser

        self._source = source
        self._next: Any = CParser(source.text.removeprefix("\ufeff")).get_event
        self._events: Any = events
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._nodes = 0
        self._aliased = 0
        self._depth = 0

    def build(self) -> Any:
        """The first document, or None where there is none."""
        self._next()
        if isinstance(self._next(), self._events.StreamEndEvent):
            return None
        return self._node(self._next())

    def _node(self, event: Any) -> Any:
        kind = type(event)
        if kind is self._events.AliasEvent:
            return self._alias(event)
        if event.anchor is not None:
            return self._anchored(event)
        if kind is self._events.ScalarEvent:
            return _scalar(event)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(event, f"nested more than {MAX_DEPTH} deep")
        tree = self._mapping() if kind is self._events.MappingStartEvent else self._sequence()
        self._nodes += len(tree)
        self._depth -= 1
        return tree

    def _mapping(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        scalar, end = self._events.ScalarEvent, self._events.MappingEndEvent
        while type(event := self._next()) is not end:
            if type(event) is not scalar:
                self._fail(event, "the key of a mapping must be a plain text")
            key = event.value
            value_event = self._next()
            value = _scalar(value_event) if _is_plain(value_event, scalar) else self._node(value_event)
            if event.tag == "!ignore":
                continue
            if key in tree:
                self._source.remarks.append(Problem("", _twice(repr(key)), "ignored", self._position(event)))
            tree[key] = value
        return tree

    def _sequence(self) -> list[Any]:
        tree: list[Any] = []
        event: Any
        end = self._events.SequenceEndEvent
        while type(event := self._next()) is not end:
            tree.append(self._node(event))
        return tree

    def _anchored(self, event: Any) -> Any:
        name, event.anchor = event.anchor, None
        self._anchors[name] = (_MISSING, 0)
        before = self._nodes + self._aliased
        value = self._node(event)
        self._anchors[name] = (value, self._nodes + self._aliased - before + 1)
        return value

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            self._fail(event, f"no anchor is called {event.anchor!r}")
        value, size = self._anchors[event.anchor]
        if value is _MISSING:
            self._fail(event, f"the alias {event.anchor!r} contains itself")
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            self._fail(event, f"the aliases stand for more than {MAX_ALIASED} values")
        return value

    def _position(self, event: Any) -> str:
        return f"{self._source.name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"

    def _fail(self, event: Any, reason: str) -> NoReturn:
        raise ConfigError(f"{self._position(event)}: {reason}")


def _is_plain(event: Any, scalar: type) -> bool:
    return event.anchor is None and type(event) is scalar


def _twice(keys: str) -> str:
    return f"{keys} is set more than once; the last one counts"


def _scalar(event: Any) -> Any:
    value: str = event.value
    if event.tag == "!" or (event.tag is None and not event.implicit[0]):
        return value
    if value in _NULLS:
        return None
    if value in _BOOLS:
        return _BOOLS[value]
    if value[0] not in "+-0123456789":
        return value
    return _number(value)


def _number(text: str) -> int | str:
    match = _INT.fullmatch(text)
    if not match:
        return text
    sign, hexadecimal, octal, decimal = match.groups()
    if len(text) > 25:
        return text
    number = int(hexadecimal, 16) if hexadecimal else int(decimal) if decimal else int(octal or "0", 8)
    number = -number if sign == "-" else number
    if number in _INT32:
        return number
    # Envoy carries larger ones as text, so that no digit is lost on the way through a double.
    return str(number) if number in _INT64 else text
