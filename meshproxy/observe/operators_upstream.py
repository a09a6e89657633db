"""Operators on the upstream side of an exchange: the endpoint that was chosen, and the connection to it."""

from collections.abc import Callable
from typing import Any

from meshproxy.net.connection import address_text
from meshproxy.observe.operators import Exchange, Getter, Value, coded, operator, plain
from meshproxy.observe.operators_connection import masked


def _endpoint(name: str, text: Callable[[Any], Value]) -> Getter:
    """Registers what is told of the endpoint that was chosen."""

    def get(stream: Exchange) -> Value:
        endpoint = stream.endpoint
        return text(endpoint) if endpoint is not None else None

    plain(name, get)
    return get


def _connected(name: str, text: Callable[[Any], Value]) -> None:
    """Registers what is told of the endpoint once a connection to it was there."""

    def get(stream: Exchange) -> Value:
        return text(stream.endpoint) if stream.upstream_connection is not None else None

    plain(name, get)


def _connection(name: str, text: Callable[[Any], Value]) -> None:
    """Registers what is told of the connection itself."""

    def get(stream: Exchange) -> Value:
        connection = stream.upstream_connection
        return text(connection) if connection is not None else None

    plain(name, get)


def _attempted(name: str, text: Callable[[Any], str]) -> None:
    """Registers what is told of every endpoint that was tried, in order."""

    def get(stream: Exchange) -> str | None:
        tried = stream.earlier_endpoints
        # An HTTP request counts as tried on an endpoint once there is a connection for it.
        if stream.upstream_connection is not None or (stream.request is None and stream.endpoint is not None):
            tried = (*tried, stream.endpoint)
        return ",".join([text(endpoint) for endpoint in tried]) or None

    plain(name, get)


def _address(endpoint: Any) -> str:
    text: str = endpoint.address_text
    return text


def _host(endpoint: Any) -> str:
    text: str = endpoint.address[0]
    return text


def _name(endpoint: Any) -> str:
    """The name from the configuration, or the address where it has none."""
    text: str = endpoint.hostname or endpoint.address_text
    return text


def _name_without_port(endpoint: Any) -> str:
    text: str = endpoint.hostname or endpoint.address[0]
    return text


host = coded("None if (at := stream.endpoint) is None else at.address_text")
plain("UPSTREAM_HOST", host)
_endpoint("UPSTREAM_HOST_NAME", _name)
_endpoint("UPSTREAM_HOST_NAME_WITHOUT_PORT", _name_without_port)
_connected("UPSTREAM_REMOTE_ADDRESS", _address)
_connected("UPSTREAM_REMOTE_PORT", lambda endpoint: endpoint.address[1])
# Endpoints of internal listeners alone have ids.
_connected("UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID", lambda _endpoint: "")
_attempted("UPSTREAM_HOSTS_ATTEMPTED", _address)
_attempted("UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT", _host)
_attempted("UPSTREAM_HOST_NAMES_ATTEMPTED", _name)
_attempted("UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT", _name_without_port)
plain(
    "UPSTREAM_LOCAL_ADDRESS",
    coded("None if (at := stream.upstream_connection) is None else text(at.local)", text=address_text),
)
_connection("UPSTREAM_LOCAL_PORT", lambda connection: connection.local[1])
_connection("UPSTREAM_PROTOCOL", lambda connection: connection.protocol)
_connection("UPSTREAM_CONNECTION_IDS_ATTEMPTED", lambda connection: str(connection.id))


@operator("UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", argument="optional")
def local_address_without_port(argument: str, _length: int | None) -> Getter:
    def get(stream: Exchange) -> str | None:
        connection = stream.upstream_connection
        return connection.local[0] if connection is not None else None

    return _masking(get, argument)


@operator("UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", argument="optional")
def remote_address_without_port(argument: str, _length: int | None) -> Getter:
    def get(stream: Exchange) -> str | None:
        return stream.endpoint.address[0] if stream.upstream_connection is not None else None

    return _masking(get, argument)


def _masking(get: Callable[[Exchange], str | None], argument: str) -> Getter:
    """`argument`: how many bits of the address to show, or nothing for all of it."""
    if not (argument.isascii() and argument.isdigit()):
        return get
    bits = int(argument)

    def masking(stream: Exchange) -> str | None:
        address = get(stream)
        return None if address is None else masked(address, bits)

    return masking


def cluster(stream: Exchange) -> str | None:
    """The name under which the cluster is observed (alt_stat_name)."""
    found = stream.cluster
    name: str | None = found.alt_stat_name if found is not None else None
    return name


def connection_id(stream: Exchange) -> int:
    connection = stream.upstream_connection
    number: int = connection.id if connection is not None else 0
    return number


def pool_ready_duration(stream: Exchange) -> int | None:
    """Milliseconds until there was a connection, or it was clear that there would be none."""
    wait = stream.pool_wait
    if wait is None:
        return None if stream.upstream_connection is None else 0
    return int(wait * 1000)


def close_type(stream: Exchange) -> str | None:
    """How the connection of a TCP proxy ended; an HTTP exchange is logged before that is known."""
    if stream.request is None:
        kind: str | None = stream.upstream_close_type
        return kind
    return "Normal" if stream.endpoint is not None else None


def local_close_reason(stream: Exchange) -> str | None:
    return stream.upstream_close_reason or None if stream.request is None else None


plain("UPSTREAM_CLUSTER", cluster)
plain("UPSTREAM_CLUSTER_RAW", coded("None if (at := stream.cluster) is None else at.name"))
plain("UPSTREAM_CONNECTION_ID", connection_id)
plain("UPSTREAM_CONNECTION_POOL_READY_DURATION", pool_ready_duration)
plain("UPSTREAM_DETECTED_CLOSE_TYPE", close_type)
plain("UPSTREAM_TRANSPORT_FAILURE_REASON", coded("stream.upstream_failure.replace(' ', '_') or None"))
plain("UPSTREAM_REQUEST_ATTEMPT_COUNT", lambda stream: stream.attempts)
plain("UPSTREAM_LOCAL_CLOSE_REASON", local_close_reason)
