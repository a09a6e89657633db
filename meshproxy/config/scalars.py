"""From one value of a plain tree to the value of one protobuf field, by the rules of protobuf's JSON mapping.

Those rules are generous, and Envoy's reader more so: numbers may be quoted (also in hexadecimal), a quoted `yes` is
true, enum names need no capitals, a Duration may be written as text or as its two fields. Every function returns what
the field takes or raises `Refused` with what was expected.
"""

from __future__ import annotations

import binascii
import math
import re
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class Refused(Exception):
    """The value does not fit the field; the text says what was expected instead."""


class UnknownName(Refused):
    """No value of the enum has this name. To Envoy that is what an unknown field is."""


Convert = Callable[[Any], Any]

_TRUE = ("true", "t", "yes", "y", "1")
_FALSE = ("false", "f", "no", "n", "0")
_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|[0-9]+)", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_DURATION = re.compile(r"(-?)([0-9]+)(?:\.([0-9]{1,9}))?s", re.ASCII)
_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_MAX_DURATION = 315_576_000_000
_RANGES = {
    "int32": (-(1 << 31), (1 << 31) - 1),
    "int64": (-(1 << 63), (1 << 63) - 1),
    "uint32": (0, (1 << 32) - 1),
    "uint64": (0, (1 << 64) - 1),
}


def describe(value: Any) -> str:
    """A value as an error names it, never longer than a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text {value if len(value) <= 40 else value[:37] + '...'!r}"
    return f"the number {value}"


def text(value: Any) -> str:
    """A string field."""
    if not isinstance(value, str):
        hint = " (quote it)" if isinstance(value, bool | int | float) else ""
        raise Refused(f"expected text, got {describe(value)}{hint}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused("expected text, got half of a surrogate pair") from None
    return value


def data(value: Any) -> bytes:
    """A bytes field, from base64 of either alphabet, with or without padding."""
    if not isinstance(value, str):
        raise Refused(f"expected bytes in base64, got {describe(value)}")
    plain = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(f"expected bytes in base64, got {describe(value)}") from None


def boolean(value: Any) -> bool:
    """A bool field."""
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) and value.isascii() else ""
    if word not in _TRUE and word not in _FALSE:
        raise Refused(f"expected true or false, got {describe(value)}")
    return word in _TRUE


def integer(kind: str) -> Convert:
    """A converter for an integer field of `kind`: int32, int64, uint32 or uint64."""
    low, high = _RANGES[kind]

    def convert(value: Any) -> int:
        number = value if type(value) is int else _whole(value)
        if not low <= number <= high:
            raise Refused(f"{number} is out of range: expected {low} to {high}")
        return number

    return convert


def _whole(value: Any) -> int:
    number = value
    if isinstance(value, str):
        if _INTEGER.fullmatch(value):
            digits = value.lstrip("+-").lower()
            size = int(digits, 16 if digits.startswith("0x") else 10) if len(digits) < 40 else math.inf
            number = -size if value[0] == "-" else size
        elif _DECIMAL.fullmatch(value):
            number = float(value)
    if isinstance(number, bool | str) or not isinstance(number, int | float):
        raise Refused(f"expected a whole number, got {describe(value)}")
    if isinstance(number, float) and not number.is_integer():
        raise Refused(f"expected a whole number, got {describe(value)}")
    return int(number)


def real(value: Any) -> float:
    """A float or double field."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str) and value.isascii():
        word = value.strip(" \t")
        if _DECIMAL.fullmatch(word):
            return float(word)
        if _INTEGER.fullmatch(word):
            return float(_whole(word))
        if word.lstrip("+-").lower() in ("nan", "inf", "infinity"):
            return float(word)
    raise Refused(f"expected a number, got {describe(value)}")


def enum(descriptor: Any) -> Convert:
    """A converter for an enum field: a name in any case, or a number (also one without a name, as in Envoy)."""
    names = {name: value.number for name, value in descriptor.values_by_name.items()}
    numbers = integer("int32")

    def convert(value: Any) -> int:
        if not isinstance(value, str):
            return int(numbers(value))
        number = names.get(value)
        if number is None:
            number = names.get(value.upper()) if value.isascii() else None
        if number is None and value.isascii() and value.removeprefix("-").isdigit():
            number = int(numbers(value))
        if number is None:
            raise UnknownName(f"{value!r} is not one of {', '.join(names)}")
        return number

    return convert


def duration(value: Any) -> dict[str, int]:
    """A google.protobuf.Duration, such as `0.25s`."""
    if isinstance(value, dict):
        return _two_fields(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise Refused(f"expected a duration such as 0.25s, got {describe(value)}")
    sign = -1 if match[1] else 1
    seconds = int(match[2]) if len(match[2]) < 15 else _MAX_DURATION + 1
    if seconds > _MAX_DURATION:
        raise Refused(f"{value} is out of range: a duration is at most {_MAX_DURATION}s")
    return {"seconds": sign * seconds, "nanos": sign * int((match[3] or "").ljust(9, "0"))}


def timestamp(value: Any) -> dict[str, int]:
    """A google.protobuf.Timestamp, in RFC 3339's form."""
    if isinstance(value, dict):
        return _two_fields(value)
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    try:
        if match:
            moment = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
            since = moment - datetime(1970, 1, 1, tzinfo=UTC)
            return {"seconds": since.days * 86_400 + since.seconds, "nanos": int((match[2] or "").ljust(9, "0"))}
    except (ValueError, OverflowError):
        pass  # no such day or hour: refused below like any other text
    raise Refused(f"expected a time such as 2026-01-31T12:00:00Z, got {describe(value)}")


def field_mask(value: Any) -> dict[str, list[str]]:
    """A google.protobuf.FieldMask: paths separated by commas."""
    paths = text(value)
    return {"paths": [re.sub(r"([A-Z])", r"_\1", path).lower() for path in paths.split(",")] if paths else []}


def _two_fields(value: dict[str, Any]) -> dict[str, int]:
    """Duration and Timestamp written as the messages they are."""
    unknown = value.keys() - {"seconds", "nanos"}
    if unknown:
        raise Refused(f"expected seconds and nanos, got {', '.join(map(repr, sorted(unknown)))}")
    convert = {"seconds": integer("int64"), "nanos": integer("int32")}
    return {key: convert[key](item) for key, item in value.items() if item is not None}


SCALARS: dict[str, Convert] = {"string": text, "bytes": data, "bool": boolean, "double": real, "float": real} | {
    kind: integer(kind) for kind in _RANGES
}
"""Converters by the name of the protobuf type."""
