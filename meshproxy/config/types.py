"""From the name of a protobuf message to its class.

Code here never imports `envoy.*_pb2`: it asks for a class by name, and compares enums by name (`View.enum`). The
messages are those of Envoy itself (see `api`). What its API does not have is looked for among the modules that were
imported, and among those that an entry point brings in (see `extensions`): that is where the messages of a user's own
filters come from.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from google.protobuf import descriptor_pool, message_factory

from meshproxy.config.api import api_pool

# Options are parsed when they are first asked for, by the classes of the default pool, whatever pool the descriptor is
# in. So these must be there before: rules that come later are never seen.
import_module("validate.validate_pb2")

TYPED_STRUCTS = frozenset({"udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"})
"""Envelopes for a message in JSON, which name its type beside it."""


# The option udpa.annotations.sensitive (76569463) = true as it lies in a field's serialized options, whether or not the
# module that names it was imported.
_SENSITIVE = b"\xb8\xb7\x8b\xa4\x02\x01"


class UnknownType(LookupError):
    """No message of this name is known; the text says so."""


def type_name(url: str) -> str:
    """The message name in a type URL such as `type.googleapis.com/envoy.config.cluster.v3.Cluster`."""
    return url.rpartition("/")[2]


@cache
def message_class(name: str) -> Any:
    """The class of the message called `name` (its full name); raises `UnknownType`."""
    descriptor = _find(api_pool(), name) or _find(descriptor_pool.Default(), name) or _find_entry_point(name)
    if descriptor is None:
        raise UnknownType(f"unknown type {name!r}" if name else "the type is missing")
    return message_factory.GetMessageClass(descriptor)


def is_known(name: str) -> bool:
    """Whether there is a message called `name`."""
    try:
        message_class(name)
    except UnknownType:
        return False
    return True


@cache
def is_sensitive(field: Any) -> bool:
    """Whether what a field holds, however deep, is nobody's business: keys, passwords."""
    return _SENSITIVE in field.GetOptions().SerializeToString()


@cache
def extension(name: str) -> Any:
    """The option called `name` on descriptors, such as `validate.rules`."""
    return descriptor_pool.Default().FindExtensionByName(name)


def _find(pool: Any, name: str) -> Any:
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError:
        return None


def _find_entry_point(name: str) -> Any:
    from importlib.metadata import entry_points  # 15 ms, and hardly ever needed

    for entry in entry_points(group="meshproxy.filters", name=name):
        entry.load()
    return _find(descriptor_pool.Default(), name)
