"""%COALESCE({"operators": [...]})%: the first of several operators that has a value."""

import json
from typing import Any

from meshproxy.observe.operators import TABLE, Exchange, Getter, Value, find, operator, truncate


@operator("COALESCE", argument="required", length=True)
def coalesce(argument: str, length: int | None) -> Getter:
    getters = [_getter(i, entry) for i, entry in enumerate(_entries(argument))]

    def get(stream: Exchange) -> Value:
        for each in getters:
            value = each(stream)
            if value is not None:
                return value
        return None

    return truncate(get, length)


def _entries(argument: str) -> list[Any]:
    try:
        settings = json.loads(argument)
    except ValueError as error:
        raise ValueError(f"COALESCE: failed to parse JSON configuration: JSON supplied is not valid. {error}") from None
    if not isinstance(settings, dict) or "operators" not in settings:
        raise ValueError("COALESCE: JSON configuration must contain 'operators' array")
    entries = settings["operators"]
    if not isinstance(entries, list):
        raise ValueError("COALESCE: 'operators' must be an array")
    if not entries:
        raise ValueError("COALESCE: 'operators' array must not be empty")
    return entries


def _getter(index: int, entry: Any) -> Getter:
    try:
        name, argument, limit = _parsed(entry)
        if name not in TABLE:
            raise ValueError(f"unknown command: '{name}'")
        return find(name, argument, limit, {})
    except ValueError as error:
        raise ValueError(f"COALESCE: failed to parse operator at index {index}: {error}") from None


def _parsed(entry: Any) -> tuple[str, str | None, int | None]:
    """Name, argument and length of one entry: a name, or an object that has it as `command`."""
    if isinstance(entry, str):
        return entry, None, None
    if not isinstance(entry, dict):
        raise ValueError("operator entry must be either a string (command name) or an object with 'command' field")
    name, argument, limit = entry.get("command"), entry.get("param"), entry.get("max_length")
    if not isinstance(name, str):
        raise ValueError("operator object must have 'command' field")
    if argument is not None and not isinstance(argument, str):
        raise ValueError("'param' must be a string")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0):
        raise ValueError("'max_length' must be a positive integer")
    return name, argument, limit
