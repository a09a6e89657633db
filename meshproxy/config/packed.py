"""What is packed in a google.protobuf.Any."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from meshproxy.config.errors import ConfigError, ConfigErrors
from meshproxy.config.parse import parse
from meshproxy.config.structs import struct_dict
from meshproxy.config.types import TYPED_STRUCTS, UnknownType, is_known, message_class, type_name


def packed_name(packed: Any, where: str = "") -> str:
    """The full name of the message in an Any; for a TypedStruct, that of the message in the envelope."""
    name = type_name(packed.type_url)
    return type_name(_message(packed, where).type_url) if name in TYPED_STRUCTS else name


def unpack(packed: Any, where: str = "") -> Any:
    """The message in an Any, out of its envelope where its type is known; raises `ConfigError` at `where`."""
    message = _message(packed, where)
    if type_name(packed.type_url) in TYPED_STRUCTS and is_known(inner := type_name(message.type_url)):
        message, problems = parse(struct_dict(message.value), inner, where=where)
        if problems:
            raise ConfigErrors(problems, rooted=True)
    return message


def _message(packed: Any, where: str) -> Any:
    name = type_name(packed.type_url)
    try:
        message = message_class(name)()
        message.ParseFromString(packed.value)
    except UnknownType as error:
        raise ConfigError(str(error), where, rooted=True) from None
    except DecodeError as error:
        raise ConfigError(f"these bytes are no {name}: {error}", where, rooted=True) from None
    return message
