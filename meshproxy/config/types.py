"""From the name of a protobuf message to its class, importing only the module that defines it.

Only packages of Envoy's own API are searched: a type name comes from a configuration or from a control plane, and must
not be able to import anything else. Types of other packages are found if their module was imported before (a filter
imports its own).
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

_ROOTS = frozenset({"envoy", "udpa", "xds", "google", "cel", "opencensus", "opentelemetry"})
_TYPE_NAME = re.compile(r"((?:[a-z][a-z0-9_]*\.)+)([A-Z][A-Za-z0-9_]*)(?:\.[A-Z][A-Za-z0-9_]*)*")


class UnknownType(LookupError):
    """No message of this name is known."""


def type_name(url: str) -> str:
    """The message name in a type URL such as `type.googleapis.com/envoy.config.cluster.v3.Cluster`."""
    return url.rpartition("/")[2]


@cache
def message_class(name: str) -> type[Message]:
    """The class of the message called `name` (its full name); raises `UnknownType`."""
    pool = descriptor_pool.Default()
    try:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except KeyError:
        _import_module_of(name)
    try:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except KeyError:
        raise UnknownType(name) from None


def _import_module_of(name: str) -> None:
    match = _TYPE_NAME.fullmatch(name)
    if not match:
        return
    package, outer = match[1].rstrip("."), match[2]
    root, *inner = package.split(".")
    spec = find_spec(root) if root in _ROOTS else None
    # Generated modules note each message as _globals['_NAME']: looking for that is cheaper than importing them all.
    mark = f"_globals['_{outer.upper()}']".encode()
    for location in (spec and spec.submodule_search_locations) or ():
        for file in sorted(Path(location, *inner).glob("*_pb2.py")):
            if mark in file.read_bytes():
                import_module(f"{package}.{file.stem}")
