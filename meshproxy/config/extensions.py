"""From the type of a `typed_config` to the class that it configures.

Our own filters stand in the table of `meshproxy.filters`; a user's own filters are found through the entry point group
`meshproxy.filters` (entry name = the full message name, or any name for a TypedStruct's type URL).
"""

from functools import cache
from importlib import import_module
from typing import Any

from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.filters import TABLE


@cache
def find_extension(type_name: str) -> Any:
    """The class for a message type's full name; raises ConfigError where there is none."""
    place = TABLE.get(type_name)
    if place is not None:
        module, _, name = place.partition(":")
        return getattr(import_module(f"meshproxy.filters.{module}"), name)
    from importlib.metadata import entry_points  # 15 ms and 2 MB, for a user's own filters alone

    for entry in entry_points(group="meshproxy.filters"):
        if entry.name == type_name:
            return entry.load()
    raise ConfigError(f"unsupported extension: {type_name}")


def typed_config(view: View, *known: str) -> View:
    """What is packed in a TypedExtensionConfig; refuses what is of none of the `known` types, in Envoy's words."""
    name, kind = view.name, view.typed_config.type_name
    if kind not in known:
        raise ConfigError(f"Didn't find a registered implementation for '{name}' with type URL: '{kind}'")
    packed: View = view.typed_config.unpack()
    return packed
