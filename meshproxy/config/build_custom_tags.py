"""Custom tags (envoy.type.tracing.v3.CustomTag): what a configuration wants to be told of every exchange."""

import os
from collections.abc import Callable
from typing import Any

from meshproxy.config.context import Context
from meshproxy.config.log_entries import Tag
from meshproxy.config.view import View
from meshproxy.http.headers import read_header
from meshproxy.observe.formatter import compile_format, wire_text
from meshproxy.observe.json_text import dump
from meshproxy.observe.operators import Exchange
from meshproxy.observe.operators_data import SOURCES

_KINDS = {None: "DYNAMIC", "request": "DYNAMIC", "route": "ROUTE", "cluster": "CLUSTER", "host": "UPSTREAM_HOST"}


def build_custom_tags(views: Any, parent: View, ctx: Context) -> list[tuple[str, Tag]]:
    """By name, in the order of the configuration; `parent` has them as `custom_tags`."""
    tags = {}
    for i, view in enumerate(views):
        with parent.at("custom_tags", i):
            tags[view.tag] = _build(view, ctx)
    return list(tags.items())


def _build(view: View, _ctx: Context) -> Tag:
    kind = view.which("type")
    if kind == "literal":
        literal = wire_text(view.literal.value)
        return lambda _exchange: literal
    if kind == "environment":
        value = os.environ.get(view.environment.name)
        told = wire_text(view.environment.default_value if value is None else value) or None
        return lambda _exchange: told
    if kind == "request_header":
        return _header(view.request_header)
    if kind == "metadata":
        return _metadata(view.metadata)
    if kind == "value":
        with view.at("value"):
            form = compile_format(view.value, "")
        return lambda exchange: form(exchange) or None
    view.reject("type", "a custom tag has to have a value")


def _header(view: View) -> Tag:
    name, default = view.name.lower(), wire_text(view.default_value) or None

    def read(exchange: Exchange) -> str | None:
        value = read_header(exchange.request, name) if exchange.request is not None else None
        return default if value is None else value

    return read


def _metadata(view: View) -> Tag:
    source: Callable[[Exchange], Any] = SOURCES[_KINDS[view.kind.which("kind")]]
    path = [wire_text(name) for name in (view.metadata_key.key, *[step.key for step in view.metadata_key.path])]
    default = wire_text(view.default_value) or None

    def read(exchange: Exchange) -> str | None:
        value: Any = source(exchange)
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return default
        return value if isinstance(value, str) else dump(value)

    return read
