"""JSON as Envoy writes it into logs and admin pages: no spaces, keys sorted, Latin-1 text of what is on the wire."""

from json.encoder import encode_basestring
from typing import Any


def wire_text(text: str) -> str:
    """What stands in a configuration, as Latin-1 text of its bytes: UTF-8, and any others as surrogates."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def quote(text: str) -> str:
    """A JSON string of Latin-1 text. Bytes that are valid UTF-8 stay; else every byte outside ASCII is escaped."""
    if text.isascii():
        return encode_basestring(text)
    try:
        text.encode("latin-1").decode("utf-8")
    except UnicodeEncodeError:
        # Text that never was on the wire, such as metadata from the configuration.
        return encode_basestring(text.encode("utf-8").decode("latin-1"))
    except UnicodeDecodeError:
        plain = [char if " " <= char < "\x7f" and char not in '"\\' else f"\\u{ord(char):04x}" for char in text]
        return f'"{"".join(plain)}"'
    return encode_basestring(text)


def dump(value: Any) -> str:
    """Any JSON value; structs come from protos, whose numbers are doubles."""
    if value is None:
        return "null"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join([f"{quote(key)}:{dump(value[key])}" for key in sorted(value)]) + "}"
    return "[" + ",".join([dump(item) for item in value]) + "]"
