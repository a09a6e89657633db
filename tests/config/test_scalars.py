"""Single values, by the rules of protobuf's JSON mapping. What Envoy accepts of them is in `cases.py`."""

from typing import Any

import pytest

from meshproxy.config.scalars import SCALARS, Refused, describe, duration, enum, field_mask, timestamp
from meshproxy.config.types import message_class


@pytest.mark.parametrize(
    ("kind", "value", "result"),
    [
        ("string", "é", "é"),
        ("bytes", "-_8", b"\xfb\xff"),
        ("bytes", "", b""),
        ("bool", "YES", True),
        ("bool", False, False),
        ("int32", "-0x10", -16),
        ("int64", "9223372036854775807", 2**63 - 1),
        ("uint32", 5.0, 5),
        ("uint64", "1e3", 1000),
        ("double", "1.5", 1.5),
        ("double", " .5 ", 0.5),
        ("double", "-inf", float("-inf")),
        ("double", 10**400, float("inf")),
        ("float", True, None),
        ("string", 5, None),
        ("string", "\ud800", None),
        ("bytes", "a b=", None),
        ("bytes", "a", None),
        ("bool", 1, None),
        ("int32", 2**31, None),
        ("uint32", -1, None),
        ("uint32", "٣", None),
        ("uint32", "1_0", None),
        ("uint32", "9" * 5000, None),
        ("uint32", float("inf"), None),
        ("uint32", "", None),
        ("double", "٣", None),
        ("double", "", None),
    ],
)
def test_scalars(kind: str, value: Any, result: Any) -> None:
    if result is None:
        with pytest.raises(Refused):
            SCALARS[kind](value)
    else:
        assert SCALARS[kind](value) == result


@pytest.mark.parametrize(
    ("value", "seconds", "nanos"),
    [("1s", 1, 0), ("-1.5s", -1, -500_000_000), ("0.000000001s", 0, 1), ({"seconds": "3", "nanos": 4}, 3, 4)],
)
def test_duration(value: Any, seconds: int, nanos: int) -> None:
    assert duration(value) == {"seconds": seconds, "nanos": nanos}


@pytest.mark.parametrize("value", ["1", 1, "1ss", "", "s", "1.s", "٣s", [], {"second": 1}, "9" * 5000 + "s", True])
def test_no_duration(value: Any) -> None:
    with pytest.raises(Refused):
        duration(value)


def test_timestamp() -> None:
    assert timestamp("1970-01-02T00:00:01.5+00:00") == {"seconds": 86401, "nanos": 500_000_000}
    for wrong in ("1970-02-30T00:00:00Z", "1970-01-01", "0000-01-01T00:00:00Z", 5):
        with pytest.raises(Refused):
            timestamp(wrong)


def test_field_mask() -> None:
    assert field_mask("fooBar.baz,q") == {"paths": ["foo_bar.baz", "q"]}
    assert field_mask("") == {"paths": []}


def test_enum_names_its_values() -> None:
    descriptor = message_class("envoy.config.cluster.v3.Cluster").DESCRIPTOR.enum_types_by_name["DiscoveryType"]
    convert = enum(descriptor)
    assert [convert(value) for value in ("EDS", "eds", 3, "3", 99)] == [3, 3, 3, 3, 99]
    with pytest.raises(Refused, match="'FOO' is not one of STATIC, STRICT_DNS"):
        convert("FOO")
    with pytest.raises(Refused):
        convert("éds")


def test_descriptions_stay_short() -> None:
    assert describe("x" * 500) == f"the text {'x' * 37 + '...'!r}"
    assert [describe(value) for value in (None, True, {}, [], 1.5)] == [
        "nothing",
        "true",
        "a mapping",
        "a list",
        "the number 1.5",
    ]
