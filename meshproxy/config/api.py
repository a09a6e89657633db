"""The descriptors of Envoy's API, in a descriptor pool that parses only those files of it that are asked for.

`api.binpb` is a FileDescriptorSet with the descriptors that Envoy 1.40 itself carries; `tests/config/envoy_api.py`
takes them from an Envoy. The published package xds-protos is some releases older: hundreds of fields are missing in it.
And importing a generated module builds Python classes for every message of every file that it depends on: for the
bootstrap 55 ms and 9 MB, where the descriptors alone take 12 ms and 1.5 MB. The pool is one of its own, so that the
generated modules can be imported beside it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto

API = Path(__file__).with_name("api.binpb")


@cache
def api_pool() -> Any:
    """The pool with the messages of Envoy's API."""
    database: Any = _Database(API)
    return descriptor_pool.DescriptorPool(database)


class _Database:
    """The files in `api.binpb`, parsed one by one as the pool asks for them. The names are those that it asks by."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._data = mmap(file.fileno(), 0, access=ACCESS_READ)
        self._files: dict[str, tuple[int, int]] = {}
        self._packages: dict[str, list[str]] = {}
        position = 0
        while position < len(self._data):
            size, position = _varint(self._data, position + 1)
            name, after = _text(self._data, position)
            package, _ = _text(self._data, after)
            self._files[name] = position, position + size
            self._packages.setdefault(package, []).append(name)
            position += size

    def FindFileByName(self, name: str) -> FileDescriptorProto:
        """A file as it is imported; protobuf's own come from protobuf. Raises KeyError."""
        if name in self._files:
            start, end = self._files[name]
            return FileDescriptorProto.FromString(self._data[start:end])
        if name.startswith("google/protobuf/"):
            import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
            return FileDescriptorProto.FromString(descriptor_pool.Default().FindFileByName(name).serialized_pb)
        raise KeyError(name)

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptorProto:
        """The file that defines a message, an enum or an option. Raises KeyError."""
        package = symbol
        while package not in self._packages:
            package, dot, _ = package.rpartition(".")
            if not dot:
                return self._protobufs_own(symbol)
        defined = symbol[len(package) + 1 :].partition(".")[0]
        for name in self._packages[package]:
            file = self.FindFileByName(name)
            items: tuple[Any, ...] = (*file.message_type, *file.enum_type, *file.extension)
            if any(item.name == defined for item in items):
                return file
        raise KeyError(symbol)

    def _protobufs_own(self, symbol: str) -> FileDescriptorProto:
        for module in ("wrappers", "duration", "struct", "any", "timestamp", "empty", "field_mask"):
            file = self.FindFileByName(f"google/protobuf/{module}.proto")
            if any(f"google.protobuf.{message.name}" == symbol for message in file.message_type):
                return file
        raise KeyError(symbol)


def _text(data: mmap, position: int) -> tuple[str, int]:
    """The text field at `position`, and what comes after it."""
    size, start = _varint(data, position + 1)
    return data[start : start + size].decode(), start + size


def _varint(data: mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
