"""From a plain tree to a protobuf message, by its descriptor; every fault in the tree is found in one pass.

The tree becomes nested keyword arguments first and then, in one call into protobuf's C code, the message. For each
message type the keys that it takes (snake_case and camelCase, mixed as one likes) are looked up in a table made once.

An Any is written as its message with an `@type`. `TypedStruct` (udpa.type.v1 and xds.type.v3) is an envelope for a
message in JSON: where its type is known, the Any holds that message, as if it had been written without envelope.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Error as ProtobufError

from meshproxy.config import scalars
from meshproxy.config.errors import Key, Problem, Severity, element, join, step
from meshproxy.config.scalars import SCALARS, Convert, Refused, UnknownName, describe
from meshproxy.config.types import TYPED_STRUCTS, UnknownType, is_known, is_sensitive, message_class, type_name
from meshproxy.config.well_known import WELL_KNOWN

_SCALAR_KINDS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_SINT32: "int32",
    FieldDescriptor.TYPE_SFIXED32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_SINT64: "int64",
    FieldDescriptor.TYPE_SFIXED64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_FIXED32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_FIXED64: "uint64",
}


def parse(tree: Any, name: str, *, where: str = "", allow_unknown: bool = False) -> tuple[Any, list[Problem]]:
    """The message called `name` that `tree` describes, and what is wrong with the tree.

    The message holds what could be read. Unknown fields and enum names are errors, or warnings
    with `allow_unknown`.
    """
    parser = _Parser(where, allow_unknown)
    cls = message_class(name)
    try:
        return cls(**parser.message(tree, _shape(name))), parser.problems
    except Refused as refused:
        return cls(), [*parser.problems, Problem(where, str(refused))]
    except ProtobufError as error:
        return cls(), [*parser.problems, Problem(where, f"protobuf cannot hold this: {error}")]


Read = Callable[["_Parser", Any], Any]


class _Field:
    """How the value of one field is read. `oneof` is the name of the group in which only one field may be set."""

    __slots__ = ("name", "oneof", "read", "takes_null")

    def __init__(self, name: str, oneof: str | None, takes_null: bool, read: Read) -> None:
        self.name = name
        self.oneof = oneof
        self.takes_null = takes_null
        self.read = read


class _Shape:
    """The fields of one message type, by every key that may name them."""

    __slots__ = ("fields", "name")

    def __init__(self, descriptor: Any) -> None:
        self.name: str = descriptor.full_name
        self.fields: dict[str, _Field] = {}
        for field in descriptor.fields:
            self.fields[field.name] = self.fields[field.json_name] = _field(field)


class _Parser:
    """Walks one tree; `path` is where it stands, `problems` what it found."""

    __slots__ = ("_allow_unknown", "_path", "_where", "problems", "secret")

    def __init__(self, where: str, allow_unknown: bool) -> None:
        self._where = where
        self._allow_unknown = allow_unknown
        self._path: list[tuple[str, Key]] = []
        self.problems: list[Problem] = []
        # It is inside a field whose values may not be shown.
        self.secret = False

    def message(self, tree: Any, shape: _Shape) -> dict[str, Any]:
        """The keyword arguments for a message."""
        if type(tree) is not dict:
            raise Refused(f"expected a mapping ({shape.name}), got {describe(tree)}")
        arguments: dict[str, Any] = {}
        chosen: dict[str, str] | None = None
        fields = shape.fields
        for key, value in tree.items():
            field = fields.get(key)
            if field is None:
                self._unknown(key, shape)
                continue
            if value is None and not field.takes_null:
                continue
            name = field.name
            if field.oneof is not None:
                chosen = chosen or {}
                other = chosen.setdefault(field.oneof, name)
                if other != name:
                    self.report(name, Refused(f"only one of {other!r} and {name!r} may be set"))
                    continue
            try:
                arguments[name] = field.read(self, value)
            except Refused as refused:
                self.report(name, refused)
        return arguments

    def inner(self, name: str, tree: Any, read: Read) -> Any:
        """Read what is in the field `name`."""
        self._path.append((name, None))
        try:
            return read(self, tree)
        finally:
            self._path.pop()

    def elements(self, name: str, items: list[Any], read: Read, empty: Any) -> list[Any]:
        """Read the elements of a list; one that is wrong is reported and left out."""
        found = []
        path = self._path
        for i, item in enumerate(items):
            if item is None:
                found.append(empty)
                continue
            path.append((name, element(name, i, item.get("name") if type(item) is dict else None)))
            try:
                found.append(read(self, item))
            except Refused as refused:
                self.report("", refused)
            finally:
                path.pop()
        return found

    def entries(self, name: str, tree: Any, key: Convert, read: Read, empty: Any) -> dict[Any, Any]:
        """Read the entries of a map; one that is wrong is reported and left out."""
        if type(tree) is not dict:
            raise Refused(f"expected a mapping, got {describe(tree)}")
        found = {}
        for label, item in tree.items():
            self._path.append((name, str(label)))
            try:
                found[key(label)] = empty if item is None else read(self, item)
            except Refused as refused:
                self.report("", refused)
            finally:
                self._path.pop()
        return found

    def report(self, name: str, refused: Refused) -> None:
        severity: Severity = "ignored" if self._allow_unknown and isinstance(refused, UnknownName) else "error"
        reason = _without_value(refused) if self.secret else str(refused)
        self.problems.append(Problem(join(self._here(), name), reason, severity))

    def _here(self) -> str:
        path = self._where
        for name, key in self._path:
            path = join(path, step(name, key))
        return path

    def _unknown(self, key: str, shape: _Shape) -> None:
        from difflib import get_close_matches

        near = get_close_matches(key, [name for name in shape.fields if "_" in name or name.islower()], 1, 0.7)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        severity: Severity = "ignored" if self._allow_unknown else "error"
        reason = f"{shape.name} has no such field{hint}"
        path = join(self._here(), key) if key.isidentifier() else step(self._here(), key)
        self.problems.append(Problem(path, reason, severity))


@cache
def _shape(name: str) -> _Shape:
    return _Shape(message_class(name).DESCRIPTOR)


def _field(field: Any) -> _Field:
    name: str = field.name
    read, empty = _reader(field)
    if is_sensitive(field):
        read = _secretly(read)
    message = field.message_type
    if message is not None and message.GetOptions().map_entry:
        key = SCALARS[_SCALAR_KINDS[message.fields_by_name["key"].type]]
        value, empty = _reader(message.fields_by_name["value"])
        return _Field(name, None, False, lambda parser, tree: parser.entries(name, tree, key, value, empty))
    if field.is_repeated:
        # As in Envoy, a single value stands for a list of one.
        return _Field(
            name,
            None,
            False,
            lambda parser, tree: parser.elements(name, tree if type(tree) is list else [tree], read, empty),
        )
    oneof = field.containing_oneof
    group = oneof.name if oneof is not None and len(oneof.fields) > 1 else None
    takes_null = message is not None and message.full_name == "google.protobuf.Value"
    if message is None:
        return _Field(name, group, False, read)
    return _Field(name, group, takes_null, lambda parser, tree: parser.inner(name, tree, read))


def _secretly(read: Read) -> Read:
    """Says what is wrong with a value, and not the value."""

    def secretly(parser: _Parser, tree: Any) -> Any:
        outer, parser.secret = parser.secret, True
        try:
            return read(parser, tree)
        except Refused as refused:
            raise Refused(_without_value(refused)) from None
        finally:
            parser.secret = outer

    return secretly


def _without_value(refused: Refused) -> str:
    return re.sub(r", got the (text|number) .*", r", got another \1", str(refused), flags=re.DOTALL)


def _reader(field: Any) -> tuple[Read, Any]:
    """What reads one value of a field, and what stands for null in a list or map of it."""
    if field.message_type is not None:
        return _message_reader(field.message_type.full_name), {}
    if field.enum_type is not None:
        return _ignoring_parser(scalars.enum(field.enum_type)), 0
    kind = _SCALAR_KINDS[field.type]
    return _ignoring_parser(SCALARS[kind]), {"string": "", "bytes": b"", "bool": False}.get(kind, 0)


def _message_reader(name: str) -> Read:
    return _SPECIAL.get(name) or (lambda parser, tree: parser.message(tree, _shape(name)))


def _ignoring_parser(convert: Convert) -> Read:
    return lambda _parser, value: convert(value)


def _any(parser: _Parser, tree: Any) -> dict[str, Any]:
    if type(tree) is not dict:
        raise Refused(f"expected a mapping with an @type, got {describe(tree)}")
    if not tree:
        return {}
    url = tree.get("@type")
    if not isinstance(url, str):
        raise Refused("the @type is missing" if url is None else f"the @type must be text, not {describe(url)}")
    if not type_name(url) or url.find("/") < 1:
        raise Refused(f"the @type must look like type.googleapis.com/package.Message, not {url!r}")
    body = {key: value for key, value in tree.items() if key != "@type"}
    if type_name(url) in TYPED_STRUCTS and (packed := _typed_struct(parser, body)):
        return packed
    return _packed(parser, url, body)


def _typed_struct(parser: _Parser, body: dict[str, Any]) -> dict[str, Any] | None:
    """What the Any holds without its envelope; None where the type in the envelope is not known."""
    url = body.get("type_url", body.get("typeUrl"))
    if not isinstance(url, str) or not is_known(type_name(url)) or body.keys() - {"type_url", "typeUrl", "value"}:
        return None
    value = body.get("value")
    return _packed(parser, f"type.googleapis.com/{type_name(url)}", {} if value is None else value)


def _packed(parser: _Parser, url: str, body: Any) -> dict[str, Any]:
    name = type_name(url)
    try:
        cls = message_class(name)
    except UnknownType as error:
        raise Refused(str(error)) from None
    special = _SPECIAL.get(name)
    if special is None:
        arguments = parser.message(body, _shape(name))
    elif body.keys() - {"value"}:
        raise Refused(f"a {name} is written as its 'value'")
    else:
        arguments = {} if body.get("value") is None else special(parser, body["value"])
    try:
        message: Any = cls(**arguments) if type(arguments) is dict else arguments
        return {"type_url": url, "value": message.SerializeToString(deterministic=True)}
    except ProtobufError as error:
        raise Refused(f"protobuf cannot hold this: {error}") from None


_SPECIAL: dict[str, Read] = {"google.protobuf.Any": _any} | {
    name: _ignoring_parser(convert) for name, convert in WELL_KNOWN.items()
}
"""The messages that JSON writes in a form of their own."""
