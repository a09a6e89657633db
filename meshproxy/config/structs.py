"""google.protobuf.Struct and metadata as plain Python values; and text of the wire as messages may have it."""

import codecs
from typing import Any

from meshproxy.observe import log_file  # noqa: F401  registers meshproxy.utf8
from meshproxy.observe.json_text import wire_text


def struct_dict(struct: Any) -> dict[str, Any]:
    """A Struct as a dict; numbers that are whole become int."""
    return {key: value_of(value) for key, value in struct.fields.items()}


def wire_struct(struct: Any) -> dict[str, Any]:
    """A Struct that streams carry, such as metadata: its texts are Latin-1 of their UTF-8 bytes."""
    found: dict[str, Any] = wire_value(struct_dict(struct))
    return found


def wire_value(value: Any) -> Any:
    if isinstance(value, str):
        return wire_text(value)
    if isinstance(value, dict):
        return {wire_text(key): wire_value(each) for key, each in value.items()}
    return [wire_value(each) for each in value] if isinstance(value, list) else value


def value_of(value: Any) -> Any:
    """A google.protobuf.Value as a plain value."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return struct_dict(value.struct_value)
    if kind == "list_value":
        return [value_of(each) for each in value.list_value.values]
    if kind in (None, "null_value"):
        return None
    plain = getattr(value, kind)
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain


def flatten(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined with dots, as runtime layers mean them; a fraction stays one value."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and not {"numerator", "denominator"} & value.keys():
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def utf8(text: str) -> str:
    """Text of the wire as a message may have it: bytes that are no UTF-8 become "!", one by one."""
    return text if text.isascii() else text.encode("latin-1", "meshproxy.utf8").decode("utf-8", "meshproxy.sanitize")


def _sanitize(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "!" * (error.end - error.start), error.end


codecs.register_error("meshproxy.sanitize", _sanitize)
