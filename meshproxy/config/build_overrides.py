"""typed_per_filter_config: what one level of the routes configures for filters of the chain."""

from typing import Any

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import find_extension
from meshproxy.config.view import View
from meshproxy.routing.overrides import Override, Overrides, field_key

_CORS_POLICY = "envoy.extensions.filters.http.cors.v3.CorsPolicy"
_FILTER_CONFIG = "envoy.config.route.v3.FilterConfig"


def build_overrides(view: View, ctx: Context) -> Overrides:
    """The entries of a weighted cluster, route, virtual host or route table, by name of the filter."""
    found: Overrides = {}
    for name, packed in view.typed_per_filter_config.items():
        with view.at("typed_per_filter_config", name):
            override = _entry(name, packed, ctx)
        if override is not None:
            found[name] = override
    return found


def with_cors(own: Overrides, view: View, ctx: Context) -> Overrides:
    """The same with what `cors` of a virtual host or RouteAction says, which is older than typed_per_filter_config."""
    if not view.cors:
        return own
    with view.at("cors"):
        return {**own, field_key("cors"): Override(find_extension(_CORS_POLICY).build_override(view.cors, ctx))}


def with_outer(own: Overrides, outer: tuple[Overrides, ...]) -> tuple[Overrides, ...]:
    """A level's overrides in front of those around it; most levels have none."""
    return (own, *outer) if own else outer


def _entry(name: str, packed: View, ctx: Context) -> Override | None:
    if packed.type_name != _FILTER_CONFIG:
        return Override(_compiled(name, packed, ctx))
    wrapper = packed.unpack()
    if wrapper.disabled:
        wrapper.ignore("config", "is_optional", why="the filter is disabled")
        return Override(disabled=True)
    if not wrapper.config:
        raise ConfigError(f"Empty route/virtual host per filter configuration for {name} filter")
    if not wrapper.config.type_name:
        # An empty one says only that the filter runs here.
        wrapper.config.take()
        return Override()
    try:
        return Override(_compiled(name, wrapper.config, ctx))
    except UnknownFilter:
        if not wrapper.is_optional:
            raise
        wrapper.ignore("config", why="no filter takes it, and it is optional")
        return None


class UnknownFilter(ConfigError):
    """No filter takes a configuration of this type."""


def _compiled(name: str, packed: View, ctx: Context) -> Any:
    try:
        kind = find_extension(packed.type_name)
    except ConfigError:
        raise UnknownFilter(
            f"Didn't find a registered implementation for '{name}' with type URL: '{packed.type_name}'"
        ) from None
    return kind.build_override(packed.unpack(), ctx)
