"""What CEL expressions can ask of an exchange: `request.path`, `response.code`, `source.address`, ...

By root and field, a getter each; a value that is missing is None, and a field that Envoy knows and nothing here has is
not in the table: both are errors of the expression, as in Envoy. Source: Envoy's attributes and its cel evaluator.
"""

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from meshproxy.net.connection import address_text
from meshproxy.observe.flags import LONG_FLAGS
from meshproxy.observe.operators import Exchange
from meshproxy.observe.operators_request import (
    grpc_status_or_from_http,
    request_headers_bytes,
    response_headers_bytes,
    response_trailers_bytes,
)
from meshproxy.observe.operators_time import response_latency
from meshproxy.observe.operators_upstream import pool_ready_duration

Getters = Mapping[str, Callable[[Exchange], Any]]

# envoy.config.core.v3.TrafficDirection
_DIRECTIONS = {"": 0, "UNSPECIFIED": 0, "INBOUND": 1, "OUTBOUND": 2}
_FLAG_BITS = {flag: 1 << bit for bit, flag in enumerate(LONG_FLAGS)}


def text(value: str | None) -> str | None:
    """What was on the wire, as CEL wants it: Unicode."""
    if value is None or value.isascii():
        return value
    return value.encode("latin-1", "meshproxy.utf8").decode("utf-8", "replace")


def tree(value: Any) -> Any:
    """The same for metadata."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        return {text(key): tree(each) for key, each in value.items()}
    return [tree(each) for each in value] if isinstance(value, list) else value


def _headers(pairs: Any, pseudo: Any = ()) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in (*pseudo, *pairs):
        known = found.get(name)
        found[name] = text(value) or "" if known is None else f"{known},{text(value)}"
    return found


def _request(name: str) -> Callable[[Exchange], str | None]:
    def get(stream: Exchange) -> str | None:
        request = stream.request
        return None if request is None else text(request.get(name))

    return get


def _request_headers(stream: Exchange) -> dict[str, str] | None:
    request = stream.request
    if request is None:
        return None
    pseudo = [(":method", request.method), (":path", request.path), (":scheme", request.scheme)]
    if request.has_authority:
        pseudo += [(":authority", request.authority), ("host", request.authority)]
    return _headers(request.pairs, [pair for pair in pseudo if pair[1]])


def _response_headers(stream: Exchange) -> dict[str, str] | None:
    response = stream.response
    return None if response is None else _headers(response.pairs, [(":status", str(response.status))])


def _response_trailers(stream: Exchange) -> dict[str, str] | None:
    trailers = stream.response_trailers
    return None if trailers is None else _headers(trailers.pairs)


def _path(stream: Exchange) -> str | None:
    return text(stream.request.path or None) if stream.request is not None else None


def _url_path(stream: Exchange) -> str | None:
    path = _path(stream)
    return None if path is None else path.partition("?")[0]


def _query(stream: Exchange) -> str | None:
    path = _path(stream)
    return None if path is None else path.partition("?")[2].partition("#")[0]


def _size(stream: Exchange) -> int | None:
    """What the request says its body is long, else what came."""
    if stream.request is None:
        return None
    said = stream.request.get("content-length")
    return int(said) if said is not None and said.isascii() and said.isdigit() else stream.bytes_received


def _pseudo(name: str) -> Callable[[Exchange], str | None]:
    return lambda stream: text(getattr(stream.request, name) or None) if stream.request is not None else None


def _host(stream: Exchange) -> str | None:
    request = stream.request
    return text(request.authority) if request is not None and request.has_authority else None


def _time(stream: Exchange) -> Timestamp:
    seconds, fraction = divmod(stream.start_time, 1.0)
    return Timestamp(seconds=int(seconds), nanos=int(fraction * 1e9))


def _span(seconds: float | None) -> Duration | None:
    return None if seconds is None else Duration(seconds=int(seconds), nanos=int(seconds % 1.0 * 1e9))


def _duration(stream: Exchange) -> Duration | None:
    return _span(stream.last_activity - stream.started) if stream.done else None


def _flags(stream: Exchange) -> int:
    return sum([_FLAG_BITS.get(flag, 0) for flag in stream.flags])


def _latency(stream: Exchange) -> Duration | None:
    return _span(response_latency(stream))


def _endpoint_address(stream: Exchange) -> str | None:
    return stream.endpoint.address_text if stream.endpoint is not None else None


def _pool_ready(stream: Exchange) -> Duration | None:
    wait = pool_ready_duration(stream)
    return None if wait is None else _span(wait / 1000)


def _state(stream: Exchange) -> dict[str, Any]:
    states = (stream.connection.filter_state, stream.filter_state)
    kept = [item for each in states if each for item in each.items()]
    return {key: text(value) if isinstance(value, str) else value for key, value in kept}


def _metadata_of(owner: Callable[[Exchange], Any]) -> Callable[[Exchange], Any]:
    """Metadata of a route, a cluster, an endpoint, as the message that it is."""

    def get(stream: Exchange) -> dict[str, Any] | None:
        found = owner(stream)
        return None if found is None else {"filter_metadata": tree(found.metadata or {})}

    return get


def _named(owner: Callable[[Exchange], Any], attribute: str = "name") -> Callable[[Exchange], Any]:
    def get(stream: Exchange) -> str | None:
        found = owner(stream)
        return None if found is None else text(getattr(found, attribute))

    return get


def _tls(of: Callable[[Exchange], Any]) -> dict[str, Callable[[Exchange], Any]]:
    """What is told of a connection's TLS, where it has any."""

    def told(get: Callable[[Any], Any]) -> Callable[[Exchange], Any]:
        def value(stream: Exchange) -> str | None:
            facts = of(stream)
            return text(get(facts) or None) if facts is not None else None

        return value

    def certificate(whose: str, get: Callable[[Any], Any]) -> Callable[[Exchange], Any]:
        def value(facts: Any) -> Any:
            found = getattr(facts, whose)
            return get(found) if found is not None else None

        return told(value)

    def subject(whose: str) -> Callable[[Exchange], Any]:
        """It is there, and empty, where there is no certificate."""
        get = certificate(whose, lambda found: found.subject)
        return lambda stream: get(stream) or "" if of(stream) is not None else None

    def first(kind: str) -> Callable[[Any], Any]:
        return lambda found: next(iter(found.names(kind)), None)

    return {
        "tls_version": told(lambda facts: facts.version),
        "subject_local_certificate": subject("own"),
        "subject_peer_certificate": subject("peer"),
        "uri_san_local_certificate": certificate("own", first("URI")),
        "uri_san_peer_certificate": certificate("peer", first("URI")),
        "dns_san_local_certificate": certificate("own", first("DNS")),
        "dns_san_peer_certificate": certificate("peer", first("DNS")),
        "sha256_peer_certificate_digest": certificate("peer", lambda found: found.sha256),
    }


ATTRIBUTES: dict[str, Getters] = {
    "request": {
        "id": _request("x-request-id"),
        "path": _path,
        "url_path": _url_path,
        "query": _query,
        "host": _host,
        "scheme": _pseudo("scheme"),
        "method": _pseudo("method"),
        "protocol": lambda stream: stream.protocol,
        "headers": _request_headers,
        "referer": _request("referer"),
        "useragent": _request("user-agent"),
        "time": _time,
        "duration": _duration,
        "size": _size,
        "total_size": lambda stream: stream.bytes_received + request_headers_bytes(stream),
    },
    "response": {
        "code": lambda stream: stream.response.status if stream.response is not None else None,
        "code_details": lambda stream: text(stream.details or None),
        "flags": _flags,
        "grpc_status": grpc_status_or_from_http,
        "headers": _response_headers,
        "trailers": _response_trailers,
        "size": lambda stream: stream.bytes_sent,
        "total_size": lambda stream: (
            stream.bytes_sent + response_headers_bytes(stream) + response_trailers_bytes(stream)
        ),
        "backend_latency": _latency,
    },
    "connection": {
        "id": lambda stream: stream.connection.id,
        "mtls": lambda stream: stream.connection.tls is not None and stream.connection.tls.peer is not None,
        **_tls(lambda stream: stream.connection.tls),
        "requested_server_name": lambda stream: text(stream.connection.server_name),
        "termination_details": lambda stream: text(stream.downstream_failure or None),
        "transport_failure_reason": lambda stream: text(stream.connection.transport_failure or None),
    },
    "upstream": {
        "address": _endpoint_address,
        "port": lambda stream: stream.endpoint.address[1] if stream.endpoint is not None else None,
        "local_address": lambda stream: (
            address_text(stream.upstream_connection.local) if stream.upstream_connection is not None else None
        ),
        "transport_failure_reason": lambda stream: (
            text(stream.upstream_failure) if stream.endpoint is not None else None
        ),
        "request_attempt_count": lambda stream: stream.attempts,
        "cx_pool_ready_duration": _pool_ready,
        **_tls(lambda stream: stream.upstream_connection.tls if stream.upstream_connection is not None else None),
    },
    "source": {
        "address": lambda stream: address_text(stream.peer),
        "port": lambda stream: stream.peer[1],
    },
    "destination": {
        "address": lambda stream: address_text(stream.connection.local),
        "port": lambda stream: stream.connection.local[1],
    },
    "metadata": {"filter_metadata": lambda stream: tree(stream.metadata or {})},
    "xds": {
        "cluster_name": _named(lambda stream: stream.cluster),
        "cluster_metadata": _metadata_of(lambda stream: stream.cluster),
        "route_name": _named(lambda stream: stream.route),
        "route_metadata": _metadata_of(lambda stream: stream.route),
        "virtual_host_name": _named(lambda stream: stream.virtual_host),
        "virtual_host_metadata": _metadata_of(lambda stream: stream.virtual_host),
        "upstream_host_metadata": _metadata_of(lambda stream: stream.endpoint),
        "filter_chain_name": _named(lambda stream: stream.connection.chain),
        "listener_metadata": _metadata_of(lambda stream: stream.connection.listener),
        "listener_direction": lambda stream: _DIRECTIONS[stream.connection.listener.traffic_direction],
    },
}
# Their fields are names that filters choose.
OPEN: dict[str, Callable[[Exchange], dict[str, Any] | None]] = {
    "filter_state": _state,
    "upstream_filter_state": lambda stream: None if stream.upstream_connection is None else {},
}
