"""Operators on bytes: on the wire and in heads, on either side.

Of HTTP connections they are counted once a format asks for them (http/meter.py); a TCP proxy counts what it moves.
"""

from collections.abc import Callable

from meshproxy.http.meter import Meter
from meshproxy.observe.operators import Exchange, Getter, counted

_NOTHING = Meter()


def _of_client(stream: Exchange) -> Meter:
    return stream.meter or _NOTHING


def _of_upstream(stream: Exchange) -> Meter:
    return stream.upstream_meter or _NOTHING


def _tcp_received(record: Exchange) -> int:
    count: int = record.bytes_received if record.counts_wire else 0
    return count


def _tcp_sent(record: Exchange) -> int:
    count: int = record.bytes_sent if record.counts_wire else 0
    return count


def _wire(name: str, of_stream: Getter, of_tcp: Getter) -> None:
    counted(name, lambda stream: of_tcp(stream) if stream.request is None else of_stream(stream))


# What a TCP proxy sends to one side it has received from the other.
_wire("DOWNSTREAM_WIRE_BYTES_RECEIVED", lambda stream: _of_client(stream).wire_received, _tcp_received)
_wire("DOWNSTREAM_WIRE_BYTES_SENT", lambda stream: _of_client(stream).wire_sent, _tcp_sent)
_wire("UPSTREAM_WIRE_BYTES_RECEIVED", lambda stream: _of_upstream(stream).wire_received, _tcp_sent)
_wire("UPSTREAM_WIRE_BYTES_SENT", lambda stream: _of_upstream(stream).wire_sent, _tcp_received)


def _headers(side: str, of: Callable[[Exchange], Meter]) -> None:
    counted(f"{side}_HEADER_BYTES_RECEIVED", lambda stream: of(stream).headers_received)
    counted(f"{side}_HEADER_BYTES_SENT", lambda stream: of(stream).headers_sent)
    # HTTP/1 has no compression of heads.
    counted(f"{side}_DECOMPRESSED_HEADER_BYTES_RECEIVED", lambda stream: of(stream).head_received)
    counted(f"{side}_DECOMPRESSED_HEADER_BYTES_SENT", lambda stream: of(stream).head_sent or of(stream).headers_sent)


_headers("DOWNSTREAM", _of_client)
_headers("UPSTREAM", _of_upstream)
