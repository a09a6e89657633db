"""Puts fixed values into dynamic metadata (envoy.extensions.filters.http.set_metadata.v3.Config)."""

from dataclasses import dataclass
from typing import Any

from meshproxy.api import HttpFilter, Stream, wire_struct, wire_text


@dataclass(frozen=True, slots=True)
class Entry:
    namespace: str
    values: dict[str, Any]
    overwrite: bool


class SetMetadata(HttpFilter):
    """A namespace that is there already is left alone, or (allow_overwrite) merged with."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "SetMetadata":
        entries = []
        if config.metadata_namespace and config.value:
            entries.append(Entry(wire_text(config.metadata_namespace), wire_struct(config.value.take()), True))
        for view in config.metadata:
            view.ignore("typed_value", why="nothing here reads typed metadata")
            namespace, overwrite = wire_text(view.metadata_namespace), view.allow_overwrite
            if view.value:
                entries.append(Entry(namespace, wire_struct(view.value.take()), overwrite))
        return cls(entries)

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> "SetMetadata":
        return cls.build(config, ctx)

    def for_route(self, override: "SetMetadata") -> "SetMetadata":
        return override

    def on_request_headers(self, stream: Stream, end: bool) -> None:
        if stream.metadata is None:
            stream.metadata = {}
        metadata = stream.metadata
        for entry in self._entries:
            known = metadata.get(entry.namespace)
            if known is None:
                metadata[entry.namespace] = dict(entry.values)
            elif entry.overwrite:
                metadata[entry.namespace] = _merge(known, entry.values)


def _merge(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A new dict: of equal kinds, mappings merge and lists join; everything else is replaced."""
    merged = dict(known)
    for key, value in more.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            merged[key] = _merge(old, value)
        elif isinstance(value, list) and isinstance(old, list):
            merged[key] = old + value
        else:
            merged[key] = value
    return merged
