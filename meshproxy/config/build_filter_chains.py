"""envoy.config.listener.v3.FilterChain: which connections it serves, its network filters, its terminal filter."""

from meshproxy.config.build_chain_tree import build_chain_tree
from meshproxy.config.build_endpoints import metadata_of
from meshproxy.config.build_listen_addresses import build_networks
from meshproxy.config.build_transport_sockets import build_downstream_socket
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import find_extension
from meshproxy.config.view import View
from meshproxy.downstream.chain_match import ChainMatch, ChainMatcher, OverlappingChains
from meshproxy.downstream.filter_chain import FilterChain
from meshproxy.downstream.network_filter import NetworkFilter, TerminalFilter
from meshproxy.downstream.terminals import CloseAtOnce, HttpTerminal

_HTTP = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_TCP = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_SOURCE_TYPES = {"ANY": (), "SAME_IP_OR_LOOPBACK": ("local",), "EXTERNAL": ("external",)}


def build_filter_chains(view: View, ctx: Context, buffer_limit: int) -> ChainMatcher[FilterChain]:
    """All chains of a listener. `view`: the Listener."""
    chains = []
    for i, each in enumerate(view.filter_chains):
        with view.at("filter_chains", i):
            chains.append((_build_match(each.filter_chain_match), build_filter_chain(each, ctx, buffer_limit)))
    default = None
    if view.default_filter_chain:
        with view.at("default_filter_chain"):
            default = build_filter_chain(view.default_filter_chain, ctx, buffer_limit)
        view.default_filter_chain.ignore("filter_chain_match", why="the default filter chain serves what no other does")
    if not chains and default is None:
        raise ConfigError("no filter chains specified")
    if view.filter_chain_matcher:
        for each in view.filter_chains:
            each.ignore("filter_chain_match", why="filter_chain_matcher decides")
        return build_chain_tree(view, ctx, [chain for _, chain in chains], default)
    try:
        return ChainMatcher(chains, default)
    except OverlappingChains as overlap:
        raise ConfigError(_overlap(chains, overlap)) from None


def build_filter_chain(view: View, ctx: Context, buffer_limit: int) -> FilterChain:
    filters: list[NetworkFilter] = []
    for i, each in enumerate(view.filters):
        with view.at("filters", i):
            built = _build_filter(each, ctx, buffer_limit)
        if built is not None:
            filters.append(built)
    *before, terminal = _in_order(filters) if view.filters else (CloseAtOnce(),)
    assert isinstance(terminal, TerminalFilter)
    chain = FilterChain(ctx.loop, view.name, before, terminal, buffer_limit)
    chain.metadata = metadata_of(view.metadata)
    timeout = view.seconds("transport_socket_connect_timeout", 0.0) or 0.0
    with view.at("transport_socket"):
        chain.tls = build_downstream_socket(view.transport_socket, ctx, f"filter chain '{view.name}'", timeout)
    return chain


def _build_filter(view: View, ctx: Context, buffer_limit: int) -> NetworkFilter | None:
    if view.which("config_type") == "config_discovery":
        view.reject("config_discovery", "filters are not discovered here")
    config = view.typed_config
    kind = config.type_name
    built: NetworkFilter | None
    if kind == _HTTP:
        from meshproxy.config.build_http_manager import build_http_manager

        built = HttpTerminal(build_http_manager(config.unpack(), ctx, buffer_limit))
    elif kind == _TCP:
        from meshproxy.config.build_tcp_proxy import build_tcp_proxy

        built = build_tcp_proxy(config.unpack(), ctx, buffer_limit)
    else:
        with view.at("typed_config"):
            extension = find_extension(kind)
        built = extension.build(config.unpack(), ctx)
    if built is not None:
        built.name = view.name
    return built


def _in_order(filters: list[NetworkFilter]) -> list[NetworkFilter]:
    """The same, with one terminal filter and that at the end."""
    for each in filters[:-1]:
        if isinstance(each, TerminalFilter):
            raise ConfigError(f"terminal filter named {each.name} must be the last filter in a network filter chain.")
    if not filters or not isinstance(filters[-1], TerminalFilter):
        named = filters[-1].name if filters else "of nothing"
        raise ConfigError(f"non-terminal filter named {named} is the last filter in a network filter chain.")
    return filters


def _build_match(view: View) -> ChainMatch:
    if view.address_suffix or view.suffix_len is not None:
        raise ConfigError("address_suffix and suffix_len are not implemented, in Envoy neither")
    port = view.destination_port
    transport = view.transport_protocol
    return ChainMatch(
        destination_port=() if port is None else (port,),
        prefix_ranges=build_networks(view.prefix_ranges),
        server_names=tuple(_server_name(view, name) for name in view.server_names),
        transport_protocol=(transport,) if transport else (),
        application_protocols=tuple(view.application_protocols),
        direct_source_prefix_ranges=build_networks(view.direct_source_prefix_ranges),
        source_type=_SOURCE_TYPES[view.enum("source_type")],
        source_prefix_ranges=build_networks(view.source_prefix_ranges),
        source_ports=tuple(view.source_ports),
    )


def _server_name(view: View, name: str) -> str:
    """`*.example.com` becomes `.example.com`."""
    if name.startswith("*."):
        name = name[1:]
    if "*" in name:
        view.reject("server_names", 'partial wildcards are not supported in "server_names"')
    return name


def _overlap(chains: list[tuple[ChainMatch, FilterChain]], overlap: OverlappingChains) -> str:
    (first, one), (second, other) = chains[overlap.first], chains[overlap.second]
    if first == second:
        return f"filter chain '{other.name}' has the same matching rules defined as '{one.name}'"
    return "multiple filter chains with overlapping matching rules are defined"
