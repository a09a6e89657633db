"""What may differ between two runs of the same thing is masked; its shape is kept."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .scenario import OPERATORS

DATE = re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (?:[A-Z][a-z]{2}) \d{4} \d\d:\d\d:\d\d GMT")
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{12}\b")
SERVICE_TIME = re.compile(r"(?i)\b(x-envoy-upstream-service-time: )\d+")
# What stands behind Envoy's words for a failure of TLS.
CAUSE = re.compile(r"[ _]\(cause:.*?\)(?=:TLS_error_end)")
HEXADECIMAL = re.compile(r"[0-9a-f]+")
PORT = re.compile(r"(:)(\d{4,5})\b")

# Fields of logs of which only the shape is compared.
SHAPES = frozenset(OPERATORS["shape"])


@dataclass(frozen=True, slots=True)
class Names:
    """What one run called things: the id of its scenario, its ports, its folder; `text` is the scenario file."""

    id: str
    ports: Mapping[int, str]
    folder: str
    text: str
    masked: Sequence[re.Pattern[str]] = ()  # what these match may differ


def normalise(node: Any, names: Names, masks: Sequence[str] = (), key: str = "") -> Any:
    """The observation with ids, ports, dates, ids of requests and times masked, and the fields in `masks` too."""
    if isinstance(node, Mapping):
        return {name: "<masked>" if name in masks else normalise(node[name], names, masks, name) for name in node}
    if isinstance(node, list):
        return [normalise(item, names, masks, key) for item in node]
    if key in SHAPES:
        # Numbers in JSON, dates, hexadecimal ids.
        return HEXADECIMAL.sub("<x>", node) if isinstance(node, str) else f"<{type(node).__name__}>"
    if not isinstance(node, str):
        return node
    text = _clean(node, names)
    if key == "page":
        return text.split("\n")
    name, colon, _ = text.partition(":")
    return f"{name}: <masked>" if key in ("headers", "trailers") and colon and name.lower() in masks else text


def _clean(text: str, names: Names) -> str:
    text = text.replace(names.folder, "<dir>").replace(names.id, "")
    text = CAUSE.sub("", text)
    text = SERVICE_TIME.sub(r"\1<ms>", text)
    text = DATE.sub(lambda found: found[0] if found[0] in names.text else "<date>", text)
    for pattern in names.masked:
        text = pattern.sub("<masked>", text)
    text = UUID.sub(lambda found: found[0] if found[0] in names.text else _uuid(found), text)
    return PORT.sub(lambda found: _port(found, names), text)


def _uuid(found: re.Match[str]) -> str:
    """A request id keeps the character that carries the trace decision."""
    return f"<uuid {found[1]}>" if found[2] in "89ab" else f"<uuid {found[1]} of variant {found[2]}>"


def _port(found: re.Match[str], names: Names) -> str:
    name = names.ports.get(int(found[2]))
    return f":<port {name}>" if name else found[0]
