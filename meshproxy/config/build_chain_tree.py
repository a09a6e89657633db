"""envoy.config.listener.v3.Listener.filter_chain_matcher: a tree over what is known of a connection."""

from collections.abc import Callable

from meshproxy.config.build_addresses import is_ip
from meshproxy.config.build_matcher_tree import Input, build_matcher_tree
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.downstream.chain_match import is_local
from meshproxy.downstream.chain_tree import ChainTree
from meshproxy.downstream.filter_chain import FilterChain
from meshproxy.net.connection import Connection

_NETWORK = "envoy.extensions.matching.common_inputs.network.v3."


def build_chain_tree(
    view: View, ctx: Context, chains: list[FilterChain], default: FilterChain | None
) -> ChainTree[FilterChain]:
    """view: the Listener. Every chain needs a name of its own."""
    by_name: dict[str, FilterChain] = {}
    for chain in chains:
        if not chain.name:
            raise ConfigError('"name" field is required when using a listener matcher')
        if by_name.setdefault(chain.name, chain) is not chain:
            raise ConfigError(f"\"name\" field is duplicated with value '{chain.name}'")
    with view.at("filter_chain_matcher"):
        return ChainTree(by_name, default, build_matcher_tree(view.filter_chain_matcher, ctx, _chain_name, _input))


def _chain_name(view: View) -> str:
    name: str = typed_config(view, "google.protobuf.StringValue").value
    return name


def _input(view: View) -> Input:
    typed_config(view, *_INPUTS)
    return _INPUTS[view.typed_config.type_name]


def _ip(address: Callable[[Connection], tuple[str, int]]) -> Input:
    def read(connection: Connection) -> str | None:
        host, _ = address(connection)
        return host if is_ip(host) else None

    return read


def _port(address: Callable[[Connection], tuple[str, int]]) -> Input:
    def read(connection: Connection) -> str | None:
        host, port = address(connection)
        return str(port) if is_ip(host) else None

    return read


def _protocols(connection: Connection) -> str | None:
    return ",".join(f"'{name}'" for name in connection.application_protocols) or None


_INPUTS: dict[str, Input] = {
    _NETWORK + "DestinationIPInput": _ip(lambda connection: connection.local),
    _NETWORK + "DestinationPortInput": _port(lambda connection: connection.local),
    _NETWORK + "SourceIPInput": _ip(lambda connection: connection.peer),
    _NETWORK + "SourcePortInput": _port(lambda connection: connection.peer),
    _NETWORK + "DirectSourceIPInput": _ip(lambda connection: connection.direct_peer),
    _NETWORK + "SourceTypeInput": lambda connection: "local" if is_local(connection) else None,
    _NETWORK + "ServerNameInput": lambda connection: connection.server_name or None,
    _NETWORK + "TransportProtocolInput": lambda connection: connection.transport_protocol or None,
    _NETWORK + "ApplicationProtocolInput": _protocols,
}
