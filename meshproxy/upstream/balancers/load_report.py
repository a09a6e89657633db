"""What an endpoint says of its load with a response (ORCA, xds.data.orca.v3.OrcaLoadReport).

Headers or trailers: `endpoint-load-metrics: TEXT cpu_utilization=0.3,rps_fractional=20`, the same as JSON or as base64
of the message (BIN), or `endpoint-load-metrics-bin`.
"""

import base64
import binascii
import json
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from meshproxy.http.headers import Headers

HEADER, BINARY = "endpoint-load-metrics", "endpoint-load-metrics-bin"
# Numbers of their own, by their place in the message; and maps, whose entries are called `<map>.<key>`.
_FIELDS = {
    1: "cpu_utilization", 2: "mem_utilization", 6: "rps_fractional", 7: "eps", 9: "application_utilization",
}  # fmt: skip
_MAPS = {5: "utilization", 8: "named_metrics"}
_NAMES = frozenset(_FIELDS.values())
_JSON: dict[str, str] = {
    "cpuUtilization": "cpu_utilization", "memUtilization": "mem_utilization", "rpsFractional": "rps_fractional",
    "applicationUtilization": "application_utilization",
}  # fmt: skip

Report = dict[str, float]


def read_report(headers: Headers) -> Report | None:
    """The numbers by name; None where there are none, or none that can be understood."""
    index = headers.index
    if HEADER not in index and BINARY not in index:
        return None
    try:
        if HEADER in index:
            return _parse(headers.get_all(HEADER)[0])
        return dict(_of_message(base64.b64decode(headers.get_all(BINARY)[0], validate=True)))
    except (ValueError, IndexError, struct.error, binascii.Error):
        return None


def _parse(value: str) -> Report:
    form, _, text = value.partition(" ")
    if form == "TEXT":
        return _of_text(text)
    if form == "JSON":
        return dict(_of_json(json.loads(text)))
    if form == "BIN":
        return dict(_of_message(base64.b64decode(text, validate=True)))
    raise ValueError(form)


def _of_text(text: str) -> Report:
    report: Report = {}
    for entry in text.split(","):
        name, equals, number = entry.strip(" \t").partition("=")
        known = name in _NAMES or name.startswith(tuple([f"{each}." for each in _MAPS.values()]))
        if not equals or not known or name in report or not number.isascii():
            raise ValueError(entry)
        report[name] = _finite(float(number))
    return report


def _of_json(tree: Any) -> Iterator[tuple[str, float]]:
    if not isinstance(tree, dict):
        raise ValueError("not an object")
    maps = {**{name: name for name in _MAPS.values()}, "namedMetrics": "named_metrics"}
    for name, value in tree.items():
        if name in maps and isinstance(value, dict):
            yield from _entries(maps[name], value)
        elif (known := _JSON.get(name, name)) in _NAMES:
            yield known, _finite(float(value))


def _entries(name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        yield f"{name}.{key}", _finite(float(value))


def _of_message(data: bytes) -> Iterator[tuple[str, float]]:
    """The wire format of protobuf: what is not known is passed over."""
    for number, value in _fields(data):
        if number in _FIELDS and isinstance(value, float):
            yield _FIELDS[number], _finite(value)
        elif number in _MAPS and isinstance(value, bytes):
            entry = dict(_fields(value))
            key, amount = entry.get(1, b""), entry.get(2, 0.0)
            if isinstance(key, bytes) and isinstance(amount, float):
                yield f"{_MAPS[number]}.{key.decode('latin-1')}", _finite(amount)


def _fields(data: bytes) -> Iterator[tuple[int, bytes | float | int]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif kind == 1:
            yield tag >> 3, struct.unpack_from("<d", data, at)[0]
            at += 8
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("it ends too early")
            yield tag >> 3, data[at : at + size]
            at += size
        elif kind == 5:
            at += 4
        else:
            raise ValueError("not a message")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("not a number")
    return value
