"""Protobuf messages as plain trees for JSON pages: field names as in the protos, secrets redacted.

What a field's option udpa.annotations.sensitive marks is shown as `[redacted]`, however deep it lies.
Lists of messages are iterators, good for one walk (json_page.dump): a large configuration is never a tree all at once.
"""

import base64
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from meshproxy.config.errors import ConfigError
from meshproxy.config.packed import unpack
from meshproxy.config.structs import value_of
from meshproxy.config.types import is_known, is_sensitive, type_name

REDACTED = "[redacted]"

_LONG = (
    FieldDescriptor.TYPE_INT64, FieldDescriptor.TYPE_UINT64, FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64, FieldDescriptor.TYPE_SFIXED64,
)  # fmt: skip
_WRAPPERS = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")


def plain(message: Any, redact: bool = False, full: bool = False) -> Any:
    """The tree of a message. `redact`: everything in it is secret. `full`: with the fields that are not set."""
    special = _SPECIAL.get(message.DESCRIPTOR.full_name)
    if special is not None:
        return special(message, redact)
    if not full:
        return {field.name: _field(field, value, redact, full) for field, value in message.ListFields()}
    shown = [each for each in message.DESCRIPTOR.fields if not each.has_presence or message.HasField(each.name)]
    shown.sort(key=lambda each: each.number)
    return {each.name: _field(each, getattr(message, each.name), redact, full) for each in shown}


def _field(field: Any, value: Any, redact: bool, full: bool) -> Any:
    redact = redact or is_sensitive(field)
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        of = inner.fields_by_name["value"]
        return {str(key): _value(of, value[key], redact, full) for key in sorted(value)}
    if field.is_repeated:
        items = (_value(field, item, redact, full) for item in value)
        return list(items) if inner is None else items
    return _value(field, value, redact, full)


def _value(field: Any, value: Any, redact: bool, full: bool) -> Any:
    if field.message_type is not None:
        return plain(value, redact, full)
    if field.type == FieldDescriptor.TYPE_ENUM:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    return _scalar(field.type, value, redact)


def _scalar(kind: int, value: Any, redact: bool) -> Any:
    if kind == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(REDACTED.encode() if redact else value).decode("ascii")
    if kind == FieldDescriptor.TYPE_STRING:
        return REDACTED if redact else value
    if redact:
        return type(value)()
    if kind in _LONG:
        return str(value)
    if kind == FieldDescriptor.TYPE_FLOAT:
        value = float(f"{value:.8g}")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _any(message: Any, redact: bool) -> Any:
    url = message.type_url
    if not is_known(type_name(url)):
        return {"@type": url} if url else {}
    try:
        packed = unpack(message)
    except ConfigError:
        # Of what was refused: nobody can read it.
        return {"@type": url}
    # A TypedStruct is shown as the message that it stands for.
    url = f"{url.rpartition('/')[0]}/{packed.DESCRIPTOR.full_name}"
    tree = plain(packed, redact)
    if packed.DESCRIPTOR.full_name in _SPECIAL:
        return {"@type": url, "value": tree}
    return {"@type": url, **tree}


def _seconds(message: Any, _redact: bool) -> str:
    """A Duration: `1s`, `0.250s`, `-0.000001s`; 3, 6 or 9 digits."""
    nanos = abs(message.nanos)
    sign = "-" if message.seconds < 0 or message.nanos < 0 else ""
    digits = f"{nanos:09}"
    fraction = digits[:3] if nanos % 1_000_000 == 0 else digits[:6] if nanos % 1_000 == 0 else digits
    return f"{sign}{abs(message.seconds)}.{fraction}s" if nanos else f"{sign}{abs(message.seconds)}s"


def _wrapped(message: Any, redact: bool) -> Any:
    field = message.DESCRIPTOR.fields_by_name["value"]
    return _value(field, message.value, redact, full=False)


def _struct(message: Any, redact: bool) -> Any:
    """By name: two dumps of the same are the same."""
    return {key: REDACTED if redact else _ordered(value_of(message.fields[key])) for key in sorted(message.fields)}


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(each) for each in value] if isinstance(value, list) else value


_SPECIAL: dict[str, Callable[[Any, bool], Any]] = {
    "google.protobuf.Any": _any,
    "google.protobuf.Duration": _seconds,
    "google.protobuf.Timestamp": lambda message, _redact: message.ToJsonString(),
    "google.protobuf.FieldMask": lambda message, _redact: ",".join(message.paths),
    "google.protobuf.Struct": _struct,
    "google.protobuf.Value": lambda message, redact: REDACTED if redact else _ordered(value_of(message)),
    "google.protobuf.ListValue": lambda message, redact: [REDACTED if redact else value_of(v) for v in message.values],
    "google.protobuf.Empty": lambda _message, _redact: {},
    **{f"google.protobuf.{name}Value": _wrapped for name in _WRAPPERS},
}
