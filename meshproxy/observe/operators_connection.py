"""Operators on the client's connection."""

import socket
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import cast

from meshproxy.http.request_id import new_request_id
from meshproxy.net.connection import address_text
from meshproxy.observe.operators import Exchange, Getter, coded, operator, plain


def connection_id(stream: Exchange) -> int:
    number: int = stream.connection.id
    return number


def close_type(stream: Exchange) -> str:
    """How a TCP connection ended; an HTTP exchange is logged before that is known."""
    kind: str = stream.downstream_close_type if stream.request is None else "Normal"
    return kind


def local_close_reason(stream: Exchange) -> str | None:
    return stream.connection.local_close_reason or None if stream.request is None else None


def filter_chain_name(stream: Exchange) -> str | None:
    chain = stream.connection.chain
    return chain.name or None if chain is not None else None


def stream_id(stream: Exchange) -> str | None:
    """The request's id, where it has one; a proxied TCP connection gets one of its own."""
    found: str | None = stream.stream_id
    return found


plain("PROTOCOL", coded("stream.protocol"))
plain("CONNECTION_ID", connection_id)
plain("FILTER_CHAIN_NAME", filter_chain_name)
plain("STREAM_ID", stream_id)
plain("UNIQUE_ID", lambda _stream: new_request_id())
plain("CONNECTION_TERMINATION_DETAILS", coded("stream.downstream_failure or None"))
plain("DOWNSTREAM_TRANSPORT_FAILURE_REASON", coded("stream.connection.transport_failure or None"))

_HOSTNAME = socket.gethostname() or "-"
plain("HOSTNAME", lambda _stream: _HOSTNAME)


def masked(host: str, length: int) -> str:
    """The network that an IP address is in: `10.1.0.0/16`. Paths stay as they are."""
    try:
        ip = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((ip, min(length, ip.max_prefixlen)), strict=False))


def _address(name: str, code: str) -> None:
    """`code`: the expression that gives (host, port); registers the three ways to print it."""
    of = cast("Callable[[Exchange], tuple[str, int]]", coded(code))
    plain(f"{name}_ADDRESS", coded(f"address_text({code})", address_text=address_text))
    plain(f"{name}_PORT", lambda stream: of(stream)[1] or None)

    @operator(f"{name}_ADDRESS_WITHOUT_PORT", argument="optional")
    def without_port(argument: str, _length: int | None) -> Getter:
        if argument.isascii() and argument.isdigit():
            return lambda stream: masked(of(stream)[0], int(argument))
        return lambda stream: of(stream)[0]


_address("DOWNSTREAM_LOCAL", "stream.connection.local")
_address("DOWNSTREAM_DIRECT_LOCAL", "stream.connection.direct_local")
_address("DOWNSTREAM_REMOTE", "stream.peer")
_address("DOWNSTREAM_DIRECT_REMOTE", "stream.connection.direct_peer")

# Internal listeners alone have endpoint ids.
plain("DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID", lambda _stream: "")
plain("DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID", lambda _stream: "")


_server_name = coded("stream.connection.server_name or None")


def _host(stream: Exchange) -> str | None:
    return stream.request.authority or None if stream.request is not None else None


def _original_host(stream: Exchange) -> str | None:
    return stream.request.get("x-envoy-original-host") if stream.request is not None else None


_HOSTS = {
    "": lambda stream: _original_host(stream) or _host(stream),
    "ORIG_OR_HOST": lambda stream: _original_host(stream) or _host(stream),
    "HOST": _host,
    "ORIG": _original_host,
}


@operator("REQUESTED_SERVER_NAME", argument="optional")
def requested_server_name(argument: str, _length: int | None) -> Getter:
    """The SNI; with SNI_FIRST or HOST_FIRST the request's host too."""
    order, which, *_ = (*argument.split(":"), "")
    if order not in ("", "SNI_ONLY", "SNI_FIRST", "HOST_FIRST"):
        raise ValueError(
            f"Invalid REQUESTED_SERVER_NAME option: '{order}', only 'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST' are allowed"
        )
    if which not in _HOSTS:
        raise ValueError(
            f"Invalid REQUESTED_SERVER_NAME option: '{which}', only 'ORIG_OR_HOST'/'HOST'/'ORIG' are allowed"
        )
    host = _HOSTS[which]
    if order == "SNI_FIRST":
        return lambda stream: _server_name(stream) or host(stream)
    if order == "HOST_FIRST":
        return lambda stream: host(stream) or _server_name(stream)
    return _server_name


plain("DOWNSTREAM_DETECTED_CLOSE_TYPE", close_type)
plain("DOWNSTREAM_LOCAL_CLOSE_REASON", local_close_reason)
# Known of QUIC connections alone.
for _name in ("BYTES_RETRANSMITTED", "PACKETS_RETRANSMITTED", "DOWNSTREAM_CX_RTT"):
    plain(_name, lambda _stream: 0)
