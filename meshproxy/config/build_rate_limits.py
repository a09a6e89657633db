"""envoy.config.route.v3.RateLimit: the descriptors under which a request is counted."""

from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from typing import Any

from meshproxy.config.build_listen_addresses import build_networks
from meshproxy.config.build_matchers import (
    build_header_matchers,
    build_query_matcher,
    decoded_query_parameters,
    header_getter,
)
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.rate_limit_extensions import build_extension_action
from meshproxy.config.types import message_class
from meshproxy.config.view import View
from meshproxy.http.stream import Stream
from meshproxy.net.runtime import Fraction
from meshproxy.observe.formatter import compile_format, parse, wire_text
from meshproxy.routing.path_match import fold_case
from meshproxy.routing.rate_limits import SKIP, Action, Allowance, Entry, RateLimit

_MOST_HITS = 1_000_000_000
_TOLD = {"UNSPECIFIED": None, "OFF": False, "DRAFT_VERSION_03": True}
_FORMATS_KEY = "envoy.reloadable_features.enable_formatter_for_ratelimit_action_descriptor_value"


def build_rate_limits(view: View, ctx: Context) -> tuple[RateLimit, ...]:
    """`rate_limits` of a route or a virtual host."""
    limits = []
    for i, each in enumerate(view.rate_limits):
        with view.at("rate_limits", i):
            each.ignore("hits_addend", why="those of routes count a request once")
            limits.append(_limit(each, ctx, each.get("stage", 0)))
    return tuple(limits)


def build_own_rate_limits(view: View, ctx: Context, *, by_service: bool) -> tuple[RateLimit, ...]:
    """`rate_limits` of a filter, which know no stages. by_service: whether a service counts, or the filter itself."""
    limits = []
    for i, each in enumerate(view.rate_limits):
        with view.at("rate_limits", i):
            if each.has("stage") or each.disable_key:
                raise ConfigError("'stage' field and 'disable_key' field are not supported")
            if not by_service:
                _check_local(each)
            limit = _limit(each, ctx, 0, _hits(each.hits_addend) if each.hits_addend else None)
            if by_service or not limit.on_done:
                limits.append(limit)
    return tuple(limits)


def _check_local(view: View) -> None:
    if view.limit:
        raise ConfigError("'limit' field is not supported")
    view.hits_addend.ignore("is_negative_hits", why="only a service gives hits back")
    view.ignore("apply_on_stream_done", why="only a service counts what is done: this limit is left out")


def _limit(view: View, ctx: Context, stage: int, hits: Callable[[Stream], int | None] | None = None) -> RateLimit:
    key = view.disable_key
    return RateLimit(
        stage, _actions(view, ctx), hits,
        negative=view.hits_addend.is_negative_hits if hits is not None else False,
        disable=Fraction(100, key=f"ratelimit.{key}.http_filter_enabled") if key else None,
        allowance=_allowance(view.limit) if view.limit else None,
        on_done=view.apply_on_stream_done,
        told=_TOLD[view.enum("x_ratelimit_option")],
    )  # fmt: skip


def _allowance(view: View) -> Callable[[Stream], Allowance | None]:
    """RateLimit.Override"""
    if view.which("override_specifier") == "rate_limit":
        fixed = Allowance(view.rate_limit.requests_per_unit, view.rate_limit.unit)
        return lambda _stream: fixed
    path = _metadata_path(view.dynamic_metadata.metadata_key)
    limit = message_class("envoy.extensions.common.ratelimit.v3.RateLimitDescriptor.RateLimitOverride")
    units = {value.name: value.number for value in limit.DESCRIPTOR.fields_by_name["unit"].enum_type.values}

    def allowance(stream: Stream) -> Allowance | None:
        value = _step_through(stream.metadata, path)
        if not isinstance(value, dict):
            return None
        requests, unit = value.get("requests_per_unit"), units.get(value.get("unit"))
        if isinstance(requests, bool) or not isinstance(requests, int | float) or unit is None:
            return None
        return Allowance(int(requests) & 0xFFFFFFFF, unit)

    return allowance


def _hits(view: View) -> Callable[[Stream], int | None]:
    """RateLimit.HitsAddend: a number, or what an operator prints."""
    if not view.format:
        if not view.has("number"):
            raise ConfigError("hits_addend must contain either a format or a number")
        number: int = view.number
        return lambda _stream: number
    if view.has("number"):
        raise ConfigError("hits_addend must contain either a format or a number")
    if len([*parse(view.format, {})]) != 1:
        raise ConfigError("hits_addend format must contain exactly one substitution")
    form = compile_format(view.format)

    def hits(stream: Stream) -> int | None:
        try:
            value = float(form(stream))
        except ValueError:
            return None
        return int(value) if 0 <= value <= _MOST_HITS else None

    return hits


def _actions(view: View, ctx: Context) -> tuple[Action, ...]:
    actions = []
    for i, action in enumerate(view.actions):
        with view.at("actions", i):
            actions.append(_action(action, ctx))
    return tuple(actions)


def _action(view: View, ctx: Context) -> Action:
    kind = view.which("action_specifier")
    build = _BUILDERS.get(kind or "")
    if kind is None or build is None:
        raise ConfigError(f"{kind or 'an action without a kind'}: not supported")
    with view.at(kind):
        return build(getattr(view, kind), ctx)


def _source_cluster(_view: View, ctx: Context) -> Action:
    entry = ("source_cluster", ctx.node.cluster)
    return lambda _stream: entry


def _destination_cluster(_view: View, _ctx: Context) -> Action:
    def entry(stream: Stream) -> Entry | None:
        action = stream.route.action
        if not action.forwards:
            return None
        name = action.cluster_name if action.name_of is None else action.name_of(stream)
        return ("destination_cluster", name)

    return entry


def _request_headers(view: View, _ctx: Context) -> Action:
    get = _first_line(view.header_name)
    key = wire_text(view.descriptor_key)
    missing = SKIP if view.skip_if_absent else None

    def entry(stream: Stream) -> Any:
        value = get(stream.request)
        return missing if value is None else (key, value)

    return entry


def _first_line(header_name: str) -> Callable[[Any], str | None]:
    """Of a header that repeats, the first alone."""
    get, name = header_getter(header_name), fold_case(wire_text(header_name))

    def read(headers: Any) -> str | None:
        value = get(headers)
        if value is None or "," not in value:
            return value
        return next((line for each, line in headers.pairs if each == name), value)

    return read


def _query_parameters(view: View, _ctx: Context) -> Action:
    name, key = wire_text(view.query_parameter_name), wire_text(view.descriptor_key)
    missing = SKIP if view.skip_if_absent else None

    def entry(stream: Stream) -> Any:
        value = decoded_query_parameters(stream.request.path).get(name)
        return missing if value is None else (key, value)

    return entry


def _remote_address(_view: View, _ctx: Context) -> Action:
    def entry(stream: Stream) -> Entry | None:
        host = stream.peer[0]
        return ("remote_address", host) if _is_ip(host) else None

    return entry


def _masked_remote_address(view: View, _ctx: Context) -> Action:
    v4, v6 = view.get("v4_prefix_mask_len", 32), view.get("v6_prefix_mask_len", 128)

    def entry(stream: Stream) -> Entry | None:
        host = stream.peer[0]
        if not _is_ip(host):
            return None
        return ("masked_remote_address", str(ip_interface(f"{host}/{v6 if ':' in host else v4}").network))

    return entry


def _is_ip(host: str) -> bool:
    """The others are paths of unix sockets."""
    return bool(host) and host[0] not in "/@"


def _remote_address_match(view: View, ctx: Context) -> Action:
    networks = build_networks(view.address_matcher.ranges)
    wanted = not view.address_matcher.invert_match

    def match(stream: Stream) -> bool:
        host = stream.peer[0]
        if not _is_ip(host):
            return False
        address = ip_address(host)
        return any(address in network for network in networks) == wanted

    return _matched(view, "remote_address_match", match, formats=True, expects=False)


def _generic_key(view: View, ctx: Context) -> Action:
    return _valued(view, "generic_key", _formats(ctx))


def _formats(ctx: Context) -> bool:
    """Whether the values of older actions are formats, as those of newer ones always are."""
    return ctx.runtime.boolean(_FORMATS_KEY, False)


def _valued(view: View, default_key: str, formats: bool) -> Action:
    """`formats`: what the format makes of the stream; without that and a default, the descriptor does not apply."""
    key, default = wire_text(view.descriptor_key) or default_key, wire_text(view.default_value)
    text: str = view.descriptor_value
    if not formats:
        entry = (key, wire_text(text))
        return lambda _stream: entry
    form = compile_format(text, empty="")

    def entry_of(stream: Stream) -> Entry | None:
        value = form(stream) or default
        return (key, value) if value else None

    return entry_of


def _header_value_match(view: View, ctx: Context) -> Action:
    match = build_header_matchers(view.headers, ctx)
    return _matched(view, "header_match", lambda stream: match(stream.request), _formats(ctx))


def _query_parameter_value_match(view: View, ctx: Context) -> Action:
    matchers = [build_query_matcher(each, ctx) for each in view.query_parameters]

    def match(stream: Stream) -> bool:
        parameters = decoded_query_parameters(stream.request.path)
        return all(matches(parameters) for matches in matchers)

    return _matched(view, "query_match", match, _formats(ctx))


def _matched(
    view: View, default_key: str, match: Callable[[Stream], bool], formats: bool, expects: bool = True
) -> Action:
    entry = _valued(view, default_key, formats)
    wanted = view.get("expect_match", True) if expects else True
    return lambda stream: entry(stream) if match(stream) == wanted else None


def _metadata(view: View, _ctx: Context) -> Action:
    return _from_metadata(view, SKIP if view.skip_if_absent else None, _SOURCES[view.enum("source")])


def _of_cluster(stream: Stream) -> Any:
    cluster = stream.find_cluster()
    return None if cluster is None else cluster.metadata


_SOURCES: dict[str, Callable[[Stream], Any]] = {
    "DYNAMIC": lambda stream: stream.metadata,
    "ROUTE_ENTRY": lambda stream: stream.route.metadata,
    "CLUSTER_ENTRY": _of_cluster,
    # No endpoint was chosen yet when descriptors are made.
    "CLUSTER_LOCALITY_ENTRY": lambda _stream: None,
}


def _dynamic_metadata(view: View, _ctx: Context) -> Action:
    return _from_metadata(view, None, lambda stream: stream.metadata)


def _from_metadata(view: View, missing: Any, read: Callable[[Stream], Any]) -> Action:
    key, default = wire_text(view.descriptor_key), wire_text(view.default_value)
    path = _metadata_path(view.metadata_key)

    def entry(stream: Stream) -> Any:
        value = _step_through(read(stream), path)
        text = value if isinstance(value, str) and value else default
        return (key, text) if text else missing

    return entry


def _metadata_path(view: View) -> list[str]:
    """envoy.type.metadata.v3.MetadataKey"""
    return [wire_text(name) for name in (view.key, *(step.key for step in view.path))]


def _step_through(value: Any, path: list[str]) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _extension(view: View, _ctx: Context) -> Action:
    return build_extension_action(view)


_BUILDERS: dict[str, Callable[[View, Context], Action]] = {
    "source_cluster": _source_cluster,
    "destination_cluster": _destination_cluster,
    "request_headers": _request_headers,
    "query_parameters": _query_parameters,
    "remote_address": _remote_address,
    "masked_remote_address": _masked_remote_address,
    "generic_key": _generic_key,
    "header_value_match": _header_value_match,
    "query_parameter_value_match": _query_parameter_value_match,
    "remote_address_match": _remote_address_match,
    "metadata": _metadata,
    "dynamic_metadata": _dynamic_metadata,
    "extension": _extension,
}
