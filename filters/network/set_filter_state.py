"""Keeps formatted values for later filters and logs (envoy.extensions.filters.network.set_filter_state.v3.Config)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meshproxy.api import Connection, ConnectionRecord, NetworkFilter, Verdict, build_format, kept_text


@dataclass(frozen=True, slots=True)
class Setter:
    """envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue."""

    key: str
    text: Callable[[Any], str]
    skip_if_empty: bool
    factory: str


class SetFilterState(NetworkFilter):
    def __init__(self, setters: list[Setter]) -> None:
        self._setters = setters

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "SetFilterState | None":
        for field in ("on_downstream_tls_handshake", "on_downstream_data"):
            if getattr(config, field):
                config.reject(field, "not supported: on_new_connection is")
        setters = [_setter(value) for value in config.on_new_connection]
        return cls(setters) if setters else None

    def on_connection(self, connection: Connection) -> Verdict:
        record = ConnectionRecord(connection)
        for setter in self._setters:
            text = setter.text(record)
            if text or not setter.skip_if_empty:
                connection.set_state(setter.key, kept_text(text, setter.factory))
        return None


def _setter(value: Any) -> Setter:
    value.ignore("read_only", why="nothing here changes what another filter has set")
    value.ignore("shared_with_upstream", why="connections to upstreams do not see filter state")
    key = value.object_key if value.which("key") == "object_key" else value.factory_key
    text, _ = build_format(value.format_string)
    return Setter(key, text, value.skip_if_empty, value.factory_key or key)
