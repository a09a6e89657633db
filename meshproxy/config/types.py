"""From the name of a protobuf message to its class, loading only the descriptors that it needs.

The generated modules of xds-protos are not imported: importing one builds Python classes for every message of every
file it depends on (for the bootstrap 74 files, 55 ms and 9 MB). Their descriptors alone cost 10 ms and 1.5 MB, and
protobuf makes classes from them for the messages that are really used. So code here never imports `envoy.*_pb2`: it
asks for a class by name, and compares enums by name (`View.enum`).

Only packages of Envoy's API are searched, because a type name comes from a configuration or from a control plane and
must not be able to load anything else. The types of a user's own filters are found through the entry point that names
them (see `extensions`): loading it imports the filter, which imports its messages.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_ROOTS = frozenset({"envoy", "udpa", "xds", "google", "validate", "cel", "opencensus", "opentelemetry"})
_TYPE_NAME = re.compile(r"((?:[a-z][a-z0-9_]*\.)+)([A-Z][A-Za-z0-9_]*)(?:\.[A-Z][A-Za-z0-9_]*)*", re.ASCII)


class UnknownType(LookupError):
    """No message of this name is known."""


def type_name(url: str) -> str:
    """The message name in a type URL such as `type.googleapis.com/envoy.config.cluster.v3.Cluster`."""
    return url.rpartition("/")[2]


@cache
def message_class(name: str) -> Any:
    """The class of the message called `name` (its full name); raises `UnknownType`."""
    descriptor = _find(name)
    if descriptor is None:
        _load_file_of(name)
        descriptor = _find(name) or _find_after_entry_point(name)
    if descriptor is None:
        raise UnknownType(name)
    return message_factory.GetMessageClass(descriptor)


def extension(name: str) -> Any:
    """The descriptor of the option called `name`, such as `validate.rules`."""
    load_proto("validate/validate.proto")
    return descriptor_pool.Default().FindExtensionByName(name)


@cache
def load_proto(path: str) -> None:
    """Put the descriptors of a .proto file, named as it is imported, and of all that it imports, into the pool."""
    pool: Any = descriptor_pool.Default()
    try:
        pool.FindFileByName(path)
        return
    except KeyError:
        pass
    serialized = _serialized_descriptor(path)
    if serialized is None:
        import_module(path.removesuffix(".proto").replace("/", ".") + "_pb2")
        return
    for dependency in descriptor_pb2.FileDescriptorProto.FromString(serialized).dependency:
        load_proto(dependency)
    pool.AddSerializedFile(serialized)


def _serialized_descriptor(path: str) -> bytes | None:
    """The serialized FileDescriptorProto: the one large constant in the generated module's code."""
    root, _, rest = path.removesuffix(".proto").partition("/")
    for directory in _directories(root):
        file = directory / f"{rest}_pb2.py"
        if file.is_file():
            code: Any = SourceFileLoader(file.stem, str(file)).get_code(file.stem)
            constants = [constant for constant in code.co_consts if isinstance(constant, bytes)]
            return max(constants, key=len, default=None)
    return None


def _find(name: str) -> Any:
    try:
        return descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        return None


def _load_file_of(name: str) -> None:
    match = _TYPE_NAME.fullmatch(name)
    if not match:
        return
    root, *inner = match[1].rstrip(".").split(".")
    # Generated modules note each message as _globals['_NAME']: looking for that is cheaper than loading them all.
    mark = f"_globals['_{match[2].upper()}']".encode()
    for directory in _directories(root):
        for file in sorted(Path(directory, *inner).glob("*_pb2.py")):
            if mark in file.read_bytes():
                load_proto("/".join((root, *inner, file.stem.removesuffix("_pb2") + ".proto")))


def _find_after_entry_point(name: str) -> Any:
    from importlib.metadata import entry_points

    for entry in entry_points(group="meshproxy.filters", name=name):
        entry.load()
    return _find(name)


@cache
def _directories(root: str) -> tuple[Path, ...]:
    spec = find_spec(root) if root in _ROOTS else None
    return tuple(map(Path, spec.submodule_search_locations or ())) if spec else ()
