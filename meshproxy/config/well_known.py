"""The messages of google.protobuf that JSON writes in a form of their own: wrappers, Duration, Struct and the like."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Error as ProtobufError

from meshproxy.config.scalars import SCALARS, Convert, Refused, describe, duration, field_mask, real, text, timestamp
from meshproxy.config.types import message_class


def _wrapper(kind: str) -> Convert:
    """A wrapper is written as its value; also, as in Envoy, as the message that it is."""
    convert = SCALARS[kind]

    def read(tree: Any) -> dict[str, Any]:
        if type(tree) is dict and not tree.keys() - {"value"}:
            tree = tree.get("value")
            return {} if tree is None else {"value": convert(tree)}
        return {"value": convert(tree)}

    return read


def _deep(convert: Convert) -> Convert:
    """For the types that nest in themselves: protobuf copies them level by level and has a limit."""

    def read(tree: Any) -> Any:
        try:
            return convert(tree)
        except ProtobufError:
            raise Refused("nested too deep") from None

    return read


def _struct(tree: Any) -> Any:
    if type(tree) is not dict:
        raise Refused(f"expected a mapping, got {describe(tree)}")
    fields = {text(key): _value(item) for key, item in tree.items()}
    return message_class("google.protobuf.Struct")(fields=fields)


def _list(tree: Any) -> Any:
    if type(tree) is not list:
        raise Refused(f"expected a list, got {describe(tree)}")
    return message_class("google.protobuf.ListValue")(values=[_value(item) for item in tree])


def _value(tree: Any) -> Any:
    value = message_class("google.protobuf.Value")
    if type(tree) is dict:
        return value(struct_value=_struct(tree))
    if type(tree) is list:
        return value(list_value=_list(tree))
    if tree is None:
        return value(null_value=0)
    if type(tree) is bool:
        return value(bool_value=tree)
    if type(tree) is str:
        return value(string_value=text(tree))
    return value(number_value=real(tree))


WELL_KNOWN: dict[str, Convert] = {
    "google.protobuf.Struct": _deep(_struct),
    "google.protobuf.ListValue": _deep(_list),
    "google.protobuf.Value": _deep(_value),
    "google.protobuf.Duration": duration,
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.FieldMask": field_mask,
    "google.protobuf.DoubleValue": _wrapper("double"),
    "google.protobuf.FloatValue": _wrapper("float"),
    "google.protobuf.Int64Value": _wrapper("int64"),
    "google.protobuf.UInt64Value": _wrapper("uint64"),
    "google.protobuf.Int32Value": _wrapper("int32"),
    "google.protobuf.UInt32Value": _wrapper("uint32"),
    "google.protobuf.BoolValue": _wrapper("bool"),
    "google.protobuf.StringValue": _wrapper("string"),
    "google.protobuf.BytesValue": _wrapper("bytes"),
}
"""From the name of the message to what makes its value, or its keyword arguments, of a tree."""
