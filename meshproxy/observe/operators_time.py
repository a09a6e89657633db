"""Operators that print points in time and the spans between them."""

import time
from collections.abc import Callable

from meshproxy.observe.operators import Exchange, Getter, Value, is_over, operator, plain
from meshproxy.observe.time_format import DEFAULT, DEFAULT_LOCAL, compile_time

_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@operator("START_TIME", argument="optional")
def start_time(argument: str, _length: int | None) -> Getter:
    write = compile_time(argument or DEFAULT)
    return lambda stream: write(stream.start_time)


@operator("START_TIME_LOCAL", argument="optional")
def start_time_local(argument: str, _length: int | None) -> Getter:
    write = compile_time(argument or DEFAULT_LOCAL, local=True)
    return lambda stream: write(stream.start_time)


@operator("EMIT_TIME", argument="optional")
def emit_time(argument: str, _length: int | None) -> Getter:
    write = compile_time(argument or DEFAULT)
    return lambda _stream: write(time.time())


@operator("EMIT_TIME_LOCAL", argument="optional")
def emit_time_local(argument: str, _length: int | None) -> Getter:
    write = compile_time(argument or DEFAULT_LOCAL, local=True)
    return lambda _stream: write(time.time())


def duration(stream: Exchange) -> int | None:
    """Milliseconds from the first byte of the request to the end; none while there is no end."""
    if not is_over(stream):
        return None
    return int((stream.last_activity - stream.started) * 1000 + 0.5)


def request_duration(stream: Exchange) -> int | None:
    """Until the last byte of the request came."""
    done = stream.request_done_at
    return int((done - stream.started) * 1000 + 0.5) if done else None


def response_duration(stream: Exchange) -> int | None:
    """Until the first byte of the upstream's response came."""
    begun = stream.response_started_at
    return int((begun - stream.started) * 1000 + 0.5) if begun else None


def response_tx_duration(stream: Exchange) -> int | None:
    """From the first byte of the upstream's response to the last one sent to the client."""
    begun = stream.response_started_at
    return int((stream.last_activity - begun) * 1000 + 0.5) if begun else None


def request_tx_duration(stream: Exchange) -> int | None:
    """Until the last byte of the request went to the upstream: it goes on at once when it comes."""
    done = stream.request_done_at
    return int((done - stream.started) * 1000 + 0.5) if done and stream.endpoint is not None else None


plain("DURATION", duration)
plain("REQUEST_DURATION", request_duration)
plain("REQUEST_TX_DURATION", request_tx_duration)
plain("RESPONSE_DURATION", response_duration)
plain("RESPONSE_TX_DURATION", response_tx_duration)
plain("ROUNDTRIP_DURATION", lambda _stream: None)

# Points in time by name; those that are not known here print as missing, as a name that nobody ever set does.
_POINTS: dict[str, Callable[[Exchange], float]] = {
    "DS_RX_BEG": lambda stream: stream.started,
    "DS_RX_END": lambda stream: stream.request_done_at,
    "US_TX_END": lambda stream: stream.request_done_at if stream.endpoint is not None else 0.0,
    "US_RX_BEG": lambda stream: stream.response_started_at,
    "US_RX_END": lambda stream: stream.last_activity if stream.response_started_at else 0.0,
    "DS_TX_BEG": lambda stream: stream.response_started_at,
    "DS_TX_END": lambda stream: stream.last_activity if stream.response is not None else 0.0,
}


@operator("COMMON_DURATION", argument="required")
def common_duration(argument: str, _length: int | None) -> Getter:
    """`START:END:precision`."""
    pieces = argument.split(":")
    if len(pieces) != 3:
        raise ValueError(f"Invalid common duration configuration: {argument}.")
    begin, end = _POINTS.get(pieces[0]), _POINTS.get(pieces[1])
    if pieces[2] not in _PER_SECOND:
        raise ValueError(f"Invalid common duration precision: {pieces[2]}.")
    scale = _PER_SECOND[pieces[2]]
    if begin is None or end is None:
        return lambda _stream: None

    def span(stream: Exchange) -> Value:
        first, last = begin(stream), end(stream)
        return int((last - first) * scale + 0.5) if first and last and last >= first else None

    return span
