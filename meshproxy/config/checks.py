"""One constraint of a descriptor becomes one check: a function from a value to what is wrong with it, or None.

The constraints are the `validate.rules` options (protoc-gen-validate) on Envoy's fields. The words are those that
Envoy prints, so that what an operator searches for is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

Check = Callable[[Any], str | None]

_BOUNDS = frozenset({"gt", "gte", "lt", "lte"})
_HEADER_NAME = re.compile(r":?[0-9a-zA-Z!#$%&'*+-.^_|~`]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_HEADER_LENIENT = re.compile(r"[^\x00\x0a\x0d]*")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_LABEL = "[0-9a-zA-Z]([0-9a-zA-Z-]{0,61}[0-9a-zA-Z])?"
_HOST_NAME = re.compile(rf"(?=.{{1,254}}$){_LABEL}(\.{_LABEL})*\.?", re.ASCII)


def checks(rules: Any, enum: Any = None) -> list[Check]:
    """The checks for one set of rules, such as `validate.UInt32Rules`; `enum` is the field's enum, if it is one."""
    found = list(_bounds(rules))
    named = {field.name: value for field, value in rules.ListFields() if field.name not in _BOUNDS}
    ignore_empty = named.pop("ignore_empty", False)
    strict = named.pop("strict", True)
    for name, limit in named.items():
        if name in ("required", "items", "keys", "values", "skip"):
            continue  # what concerns presence and elements is the walker's business
        if name == "defined_only":
            found.extend(_defined_only(enum) if limit else ())
        elif name == "well_known_regex":
            found.append(_header(limit, strict))
        elif name in _FLAGS:
            found.extend([_FLAGS[name]] if limit else [])
        elif name in _LIMITS:
            found.append(_LIMITS[name](_plain(limit)))
        else:
            found.append(_test(f"the rule {name!r} in the descriptor is not known", lambda _value: False))
    return [_unless_empty(check) for check in found] if ignore_empty else found


def _plain(limit: Any) -> Any:
    """A limit in the form in which values are compared: durations in nanoseconds."""
    if hasattr(limit, "nanos"):
        return nanoseconds(limit)
    if hasattr(limit, "extend"):
        return [_plain(item) for item in limit]
    return limit


def nanoseconds(duration: Any) -> int:
    """A Duration or Timestamp as one number."""
    return int(duration.seconds * 1_000_000_000 + duration.nanos)


def _bounds(rules: Any) -> Iterator[Check]:
    given = {field.name: value for field, value in rules.ListFields() if field.name in _BOUNDS}
    if not given:
        return
    timed = any(hasattr(limit, "nanos") for limit in given.values())
    low = _plain(given.get("gt", given.get("gte")))
    high = _plain(given.get("lt", given.get("lte")))
    # Written as refusals: a NaN is refused by no bound, in Envoy too.
    below: Check = (lambda value: value <= low) if "gt" in given else (lambda value: value < low)
    above: Check = (lambda value: value >= high) if "lt" in given else (lambda value: value > high)

    def show(limit: Any) -> str:
        return f"{limit / 1e9:g}s" if timed else f"{limit:g}" if isinstance(limit, float) else str(limit)

    if high is None:
        reason = f"value must be greater than {'or equal to ' if 'gte' in given else ''}{show(low)}"
        yield lambda value: reason if below(value) else None
    elif low is None:
        reason = f"value must be less than {'or equal to ' if 'lte' in given else ''}{show(high)}"
        yield lambda value: reason if above(value) else None
    else:
        left, right = "(" if "gt" in given else "[", ")" if "lt" in given else "]"
        if low <= high:
            reason = f"value must be inside range {left}{show(low)}, {show(high)}{right}"
            yield lambda value: reason if below(value) or above(value) else None
        else:
            reason = f"value must be outside range {right}{show(high)}, {show(low)}{left}"
            yield lambda value: reason if below(value) and above(value) else None


def _test(reason: str, passes: Callable[[Any], bool]) -> Check:
    return lambda value: None if passes(value) else reason


def _header(kind: int, strict: bool) -> Check:
    pattern = (_HEADER_NAME if kind == 1 else _HEADER_VALUE) if strict else _HEADER_LENIENT
    what = "name" if kind == 1 else "value"
    return _test(f"value is not a valid header {what}", lambda value: pattern.fullmatch(value) is not None)


def _defined_only(enum: Any) -> list[Check]:
    numbers = frozenset(enum.values_by_number)
    return [_test("value must be one of the defined enum values", numbers.__contains__)]


def _unless_empty(check: Check) -> Check:
    return lambda value: check(value) if value else None


def _size(value: str | bytes) -> int:
    return len(value.encode()) if isinstance(value, str) else len(value)


def _pattern(limit: str) -> Check:
    pattern = re.compile(limit)
    return _test(f"value does not match regex pattern {limit!r}", lambda value: pattern.fullmatch(value) is not None)


def _is_ip(value: Any, version: int | None = None) -> bool:
    from ipaddress import ip_address

    try:
        address = ip_address(value)
    except ValueError:
        return False
    return version is None or address.version == version


def _is_host(value: str) -> bool:
    return _HOST_NAME.fullmatch(value) is not None


def _is_uri(value: str, absolute: bool = True) -> bool:
    from urllib.parse import urlsplit

    try:
        return bool(urlsplit(value).scheme) or not absolute
    except ValueError:
        return False


_FLAGS: dict[str, Check] = {
    "unique": _test("repeated value must contain unique items", lambda value: len(set(value)) == len(value)),
    "ip": _test("value must be a valid IP address", _is_ip),
    "ipv4": _test("value must be a valid IPv4 address", lambda value: _is_ip(value, 4)),
    "ipv6": _test("value must be a valid IPv6 address", lambda value: _is_ip(value, 6)),
    "hostname": _test("value must be a valid hostname", _is_host),
    "address": _test("value must be a valid hostname, or ip address", lambda value: _is_ip(value) or _is_host(value)),
    "uri": _test("value must be absolute", _is_uri),
    "uri_ref": _test("value must be a valid URI", lambda value: _is_uri(value, absolute=False)),
    "uuid": _test("value must be a valid UUID", lambda value: _UUID.fullmatch(value) is not None),
}

_LIMITS: dict[str, Callable[[Any], Check]] = {
    "const": lambda n: _test(f"value must equal {n!r}", lambda value: bool(value == n)),
    "in": lambda n: _test(f"value must be in list {n}", lambda value: value in n),
    "not_in": lambda n: _test(f"value must not be in list {n}", lambda value: value not in n),
    "len": lambda n: _test(f"value length must be {n} characters", lambda value: len(value) == n),
    "min_len": lambda n: _test(f"value length must be at least {n} characters", lambda value: len(value) >= n),
    "max_len": lambda n: _test(f"value length must be at most {n} characters", lambda value: len(value) <= n),
    "len_bytes": lambda n: _test(f"value length must be {n} bytes", lambda value: _size(value) == n),
    "min_bytes": lambda n: _test(f"value length must be at least {n} bytes", lambda value: _size(value) >= n),
    "max_bytes": lambda n: _test(f"value length must be at most {n} bytes", lambda value: _size(value) <= n),
    "pattern": _pattern,
    "prefix": lambda n: _test(f"value does not have prefix {n!r}", lambda value: value.startswith(n)),
    "suffix": lambda n: _test(f"value does not have suffix {n!r}", lambda value: value.endswith(n)),
    "contains": lambda n: _test(f"value does not contain substring {n!r}", lambda value: n in value),
    "not_contains": lambda n: _test(f"value contains substring {n!r}", lambda value: n not in value),
    "min_items": lambda n: _test(f"value must contain at least {n} item(s)", lambda value: len(value) >= n),
    "max_items": lambda n: _test(f"value must contain no more than {n} item(s)", lambda value: len(value) <= n),
    "min_pairs": lambda n: _test(f"value must contain at least {n} pair(s)", lambda value: len(value) >= n),
    "max_pairs": lambda n: _test(f"value must contain no more than {n} pair(s)", lambda value: len(value) <= n),
}
