"""Which filter chain serves a connection (envoy.config.listener.v3.FilterChainMatch).

Criteria are looked at in Envoy's order, and at each the most specific entry wins for good: a chain for port 443 keeps
a connection to that port from every chain without a port, even if its own later criteria do not match.

The chains become a tree of dicts, one level for each criterion that any chain uses. A key of None is "anything".
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Generic, TypeVar

from meshproxy.net.connection import Connection

Network = IPv4Network | IPv6Network
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class ChainMatch:
    """The criteria of one chain, in the order in which they are looked at; empty matches anything.

    server_names: exact names, or `.example.com` for everything below example.com. source_type: "local" (the same
    address or loopback), "external" or "".
    """

    destination_port: tuple[int, ...] = ()
    prefix_ranges: tuple[Network, ...] = ()
    server_names: tuple[str, ...] = ()
    transport_protocol: tuple[str, ...] = ()
    application_protocols: tuple[str, ...] = ()
    direct_source_prefix_ranges: tuple[Network, ...] = ()
    source_type: tuple[str, ...] = ()
    source_prefix_ranges: tuple[Network, ...] = ()
    source_ports: tuple[int, ...] = ()


class OverlappingChains(Exception):
    """Two chains match the same connections. `first` and `second` are their positions."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"filter chains {first} and {second} match the same connections")
        self.first = first
        self.second = second


class ChainMatcher(Generic[C]):
    """Finds the chain for a connection. Only address ranges are looked through one by one. Raises OverlappingChains."""

    def __init__(self, chains: list[tuple[ChainMatch, C]], default: C | None) -> None:
        self.default = default
        self._levels = [
            (name, _LOOKUPS[name])
            for name in (criterion.name for criterion in fields(ChainMatch))
            if any(getattr(match, name) for match, _ in chains)
        ]
        self._tree: dict[Any, Any] = {}
        for i, (match, _) in enumerate(chains):
            _insert(self._tree, [getattr(match, name) or (None,) for name, _ in self._levels], i)
        self._chains = [chain for _, chain in chains]
        # The chain that serves every connection, where there is only one.
        self.only: C | None = None
        if not self._levels and chains:
            self.only = self._chains[0]
        elif not chains:
            self.only = default

    def __iter__(self) -> Iterator[C]:
        """All chains, and the default one."""
        yield from self._chains
        if self.default is not None:
            yield self.default

    def find(self, connection: Connection) -> C | None:
        node: Any = self._tree
        for _, candidates in self._levels:
            for key in candidates(connection, node):
                if key in node:
                    node = node[key]
                    break
            else:
                return self.default
        place = node.get(_LEAF)
        return self.default if place is None else self._chains[place]


_LEAF = object()


def _insert(node: dict[Any, Any], levels: list[tuple[Any, ...]], place: int) -> None:
    if not levels:
        if _LEAF in node:
            raise OverlappingChains(node[_LEAF], place)
        node[_LEAF] = place
        return
    for key in levels[0]:
        _insert(node.setdefault(key, {}), levels[1:], place)


# ---- what a connection offers at each level, the most specific first ----


def _port(connection: Connection, node: Any) -> Iterable[Any]:
    return connection.local[1] or None, None


def _source_port(connection: Connection, node: Any) -> Iterable[Any]:
    return connection.peer[1], None


def _server_name(connection: Connection, node: Any) -> Iterator[Any]:
    name = connection.server_name
    yield name or None
    dot = name.find(".", 1)
    while 0 < dot < len(name) - 1:
        yield name[dot:]
        dot = name.find(".", dot + 1)
    yield None


def _transport_protocol(connection: Connection, node: Any) -> Iterable[Any]:
    return connection.transport_protocol or None, None


def _application_protocols(connection: Connection, node: Any) -> Iterable[Any]:
    return *connection.application_protocols, None


def _source_type(connection: Connection, node: Any) -> Iterable[Any]:
    if len(node) == 1 and None in node:
        return (None,)
    return ("local" if is_local(connection) else "external"), None


def is_local(connection: Connection) -> bool:
    """The peer is this host: it has the same address, a loopback address, or a unix socket."""
    host = connection.peer[0]
    return host == connection.local[0] or not connection.peer[1] or ip_address(host).is_loopback


def _networks(address: Callable[[Connection], tuple[str, int]]) -> Callable[[Connection, Any], Iterator[Any]]:
    def candidates(connection: Connection, node: Any) -> Iterator[Any]:
        host, port = address(connection)
        # Envoy takes a unix socket for 0.0.0.0.
        ip = ip_address(host if port else "0.0.0.0")
        matching = [network for network in node if network is not None and ip in network]
        yield from sorted(matching, key=lambda network: -network.prefixlen)
        yield None

    return candidates


_LOOKUPS: dict[str, Callable[[Connection, Any], Iterable[Any]]] = {
    "destination_port": _port,
    "prefix_ranges": _networks(lambda connection: connection.local),
    "server_names": _server_name,
    "transport_protocol": _transport_protocol,
    "application_protocols": _application_protocols,
    "direct_source_prefix_ranges": _networks(lambda connection: connection.direct_peer),
    "source_type": _source_type,
    "source_prefix_ranges": _networks(lambda connection: connection.peer),
    "source_ports": _source_port,
}
