"""envoy.config.listener.v3.ListenerFilter: the filter, and the connections that it leaves alone."""

from collections.abc import Callable

from meshproxy.config.context import Context
from meshproxy.config.extensions import find_extension
from meshproxy.config.view import View
from meshproxy.downstream.listener_filter import ListenerFilter
from meshproxy.net.connection import Connection

_PROXY_PROTOCOL = "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"
_ORIGINAL_DST = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst"
Predicate = Callable[[Connection], bool]


def build_listener_filters(view: View, ctx: Context) -> tuple[ListenerFilter, ...]:
    """In order. `view`: the Listener."""
    filters = []
    for i, each in enumerate(view.listener_filters):
        with view.at("listener_filters", i):
            built = _build_filter(each, ctx)
        if built is not None:
            filters.append(built)
    # Envoy puts both behind the filters that are configured.
    asked = [chain.get("use_proxy_proto", False) for chain in (*view.filter_chains, view.default_filter_chain)]
    if any(asked):
        filters.append(find_extension(_PROXY_PROTOCOL)())
    if view.get("use_original_dst", False):
        filters.append(find_extension(_ORIGINAL_DST)())
    return tuple(filters)


def _build_filter(view: View, ctx: Context) -> ListenerFilter | None:
    if view.which("config_type") == "config_discovery":
        view.reject("config_discovery", "filters are not discovered here")
    config = view.typed_config
    with view.at("typed_config"):
        built: ListenerFilter | None = find_extension(config.type_name).build(config.unpack(), ctx)
    if built is not None:
        built.name = view.name
        if view.filter_disabled:
            built.disabled = _build_predicate(view.filter_disabled)
    return built


def _build_predicate(view: View) -> Predicate:
    """envoy.config.listener.v3.ListenerFilterChainMatchPredicate."""
    match view.which("rule"):
        case "or_match":
            rules = [_build_predicate(each) for each in view.or_match.rules]
            return lambda connection: any(rule(connection) for rule in rules)
        case "and_match":
            rules = [_build_predicate(each) for each in view.and_match.rules]
            return lambda connection: all(rule(connection) for rule in rules)
        case "not_match":
            rule = _build_predicate(view.not_match)
            return lambda connection: not rule(connection)
        case "destination_port_range":
            ports = range(view.destination_port_range.start, view.destination_port_range.end)
            return lambda connection: connection.local[1] in ports
    anything = view.any_match
    return lambda connection: anything
