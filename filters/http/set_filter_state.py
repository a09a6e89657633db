"""Keeps formatted values for later filters and logs (envoy.extensions.filters.http.set_filter_state.v3.Config)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meshproxy.api import HttpFilter, Stream, build_format, kept_text


@dataclass(frozen=True, slots=True)
class Setter:
    """envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue."""

    key: str
    text: Callable[[Any], str]
    skip_if_empty: bool
    factory: str


class SetFilterState(HttpFilter):
    def __init__(self, setters: list[Setter]) -> None:
        self._setters = setters

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "SetFilterState":
        setters = []
        for i, view in enumerate(config.on_request_headers):
            with config.at("on_request_headers", i):
                setters.append(_setter(view))
        return cls(setters)

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> "SetFilterState":
        return cls.build(config, ctx)

    def for_levels(self, overrides: list["SetFilterState"]) -> "SetFilterState":
        """The filter's own values first, then those of the levels, the most specific last."""
        return SetFilterState([*self._setters, *(setter for each in overrides[::-1] for setter in each._setters)])

    def on_request_headers(self, stream: Stream, end: bool) -> None:
        for setter in self._setters:
            text = setter.text(stream)
            if text or not setter.skip_if_empty:
                stream.set_state(setter.key, kept_text(text, setter.factory))


def _setter(view: Any) -> Setter:
    view.ignore("read_only", why="nothing here changes what another filter has set")
    view.ignore("shared_with_upstream", why="connections to upstreams do not see filter state")
    text, _ = build_format(view.format_string)
    key = view.object_key or view.factory_key
    return Setter(key, text, view.skip_if_empty, view.factory_key or key)
