"""Which transport socket the connections to an endpoint have, and what a request has to say of them.

A cluster where all connections are plain TCP has no Transports.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshproxy.net.connection import Connection
from meshproxy.net.proxy_protocol import proxy_header
from meshproxy.net.transport_options import NO_OPTIONS, Secured, TransportOptions
from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.endpoint import Endpoint

if TYPE_CHECKING:
    from meshproxy.net.tls_client import UpstreamTls

# What filters may leave in the filter state, under the keys of Envoy.
_SERVER_NAME = "envoy.network.upstream_server_name"
_NAMES = "envoy.network.upstream_subject_alt_names"
_ALPN = "envoy.network.application_protocols"
# Whose metadata is matched.
MATCHED = "envoy.transport_socket_match"


class TransportSocket:
    """One that is configured. tls: None for plain TCP. header_version: of the PROXY header, 0 for none."""

    __slots__ = ("header_version", "tls")

    def __init__(self, tls: "UpstreamTls | None" = None, header_version: int = 0) -> None:
        self.tls = tls
        self.header_version = header_version

    @property
    def plain(self) -> bool:
        return self.tls is None and not self.header_version


class MatchStats(StatGroup):
    """`cluster.<name>.<match>.*`."""

    COUNTERS = ("total_match_count",)

    SAME = frozenset(COUNTERS)

    __slots__ = COUNTERS


class TransportMatch:
    """An entry of transport_socket_matches. wanted: keys and values that an endpoint's metadata has to have."""

    __slots__ = ("name", "socket", "stats", "wanted")

    def __init__(self, name: str, wanted: dict[str, Any], socket: TransportSocket) -> None:
        self.name = name
        self.wanted = wanted
        self.socket = socket
        self.stats = MatchStats()


class Transports:
    """default: for endpoints that match none of `matches`, the first of which counts.

    server_name, names: what a request's host becomes, by HttpProtocolOptions.upstream_http_protocol_options.
    """

    __slots__ = ("default", "host_is_name", "host_is_server_name", "host_of", "matches")

    def __init__(self, default: TransportSocket, matches: "list[TransportMatch] | None" = None) -> None:
        self.default = default
        self.matches = matches or []
        # auto_sni, auto_san_validation, and where the host is read from.
        self.host_is_server_name = False
        self.host_is_name = False
        self.host_of: Callable[[Any], str] = _host

    def of(self, endpoint: Endpoint) -> TransportSocket:
        found = self._match(endpoint.metadata)
        return found.socket if found is not None else self.default

    def count(self, endpoint: Endpoint) -> bool:
        """An endpoint is new; whether it has the default transport socket."""
        found = self._match(endpoint.metadata)
        if found is not None:
            found.stats.total_match_count += 1
        return found is None

    def _match(self, metadata: dict[str, Any]) -> TransportMatch | None:
        told = metadata.get(MATCHED, {})
        for each in self.matches:
            if all(told.get(key) == value for key, value in each.wanted.items()):
                return each
        return None

    def secured(
        self, endpoint: Endpoint, options: TransportOptions, fallback_alpn: tuple[str, ...] = ()
    ) -> Secured | None:
        """For a connection; None for a plain one."""
        socket = self.of(endpoint)
        if socket.header_version and not options.header:
            # Nobody's connection but our own, such as a health check's.
            options = options._replace(header=proxy_header(socket.header_version, ("", 0), ("", 0)))
        if socket.tls is None and not options.header:
            return None
        return Secured(socket.tls, options, fallback_alpn, endpoint.hostname)

    def options_of_stream(self, stream: Any, endpoint: Endpoint) -> TransportOptions:
        """What an HTTP request has to say of its connection."""
        options = self.options(stream.connection, endpoint, stream.filter_state)
        if self.host_is_server_name or self.host_is_name:
            host = self.host_of(stream)
            if self.host_is_server_name and host and not _is_address(host) and not options.server_name:
                options = options._replace(server_name=host)
            if self.host_is_name and host and not options.names:
                options = options._replace(names=(host,))
        return options

    def options(
        self, connection: Connection, endpoint: Endpoint, filter_state: dict[str, Any] | None = None
    ) -> TransportOptions:
        """What a client's connection has to say of the upstream's."""
        options = NO_OPTIONS
        for state in (connection.filter_state, filter_state):
            if state:
                options = options._replace(
                    server_name=str(state.get(_SERVER_NAME, options.server_name)),
                    names=_list(state.get(_NAMES)) or options.names,
                    alpn=_list(state.get(_ALPN)) or options.alpn,
                )
        version = self.of(endpoint).header_version
        if version:
            options = options._replace(header=proxy_header(version, connection.peer, connection.local))
        return options


def _list(value: Any) -> tuple[str, ...]:
    return tuple(str(value).split(",")) if value else ()


def _host(stream: Any) -> str:
    return host_in(stream.request.authority)


def host_in(authority: str) -> str:
    """Without the port, and without the brackets of IPv6."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    host, colon, port = authority.rpartition(":")
    return host if colon and port.isascii() and port.isdigit() and ":" not in host else authority


def _is_address(host: str) -> bool:
    return ":" in host or (host.replace(".", "").isdigit() and host.count(".") == 3)
