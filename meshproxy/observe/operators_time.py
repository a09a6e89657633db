"""Operators that print points in time and the spans between them."""

import time
from collections.abc import Callable

from meshproxy.observe.operators import Exchange, Getter, Value, coded, nothing, operator, plain
from meshproxy.observe.time_format import DEFAULT, DEFAULT_LOCAL, compile_time

_PER_SECOND = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


@operator("START_TIME", argument="optional")
def start_time(argument: str, _length: int | None) -> Getter:
    write = compile_time(argument or DEFAULT)
    return coded("write(stream.start_time)", write=write)


@operator("START_TIME_LOCAL", argument="optional")
def start_time_local(argument: str, _length: int | None) -> Getter:
    write = compile_time(argument or DEFAULT_LOCAL, local=True)
    return coded("write(stream.start_time)", write=write)


@operator("EMIT_TIME", argument="optional")
def emit_time(argument: str, _length: int | None) -> Getter:
    write = compile_time(argument or DEFAULT)
    return lambda _stream: write(time.time())


@operator("EMIT_TIME_LOCAL", argument="optional")
def emit_time_local(argument: str, _length: int | None) -> Getter:
    write = compile_time(argument or DEFAULT_LOCAL, local=True)
    return lambda _stream: write(time.time())


# Points in time, each the loop time in seconds, or 0 where it was not reached.


def _started(stream: Exchange) -> float:
    """The first byte of the request came."""
    begun: float = stream.started
    return begun


def _request_done(stream: Exchange) -> float:
    """The last byte of the request came."""
    done: float = stream.request_done_at
    return done


def _upstream_begun(stream: Exchange) -> float:
    """The first byte went to the upstream: as soon as the filters let the request pass and there was a connection."""
    connection = stream.upstream_connection
    if connection is None or stream.request is None:
        return 0.0
    begun: float = max(stream.started, stream.terminal_started_at, connection.connected_at)
    return begun


def _upstream_done(stream: Exchange) -> float:
    """The last byte of the request went to the upstream: it goes on at once when it comes."""
    done, begun = stream.request_sent_at, _upstream_begun(stream)
    return max(done, begun) if done and begun else 0.0


def _response_begun(stream: Exchange) -> float:
    """The first byte of the upstream's response came."""
    begun: float = stream.response_started_at
    return begun


def _response_done(stream: Exchange) -> float:
    """The last byte of the upstream's response came; it goes on at once."""
    done: float = stream.last_activity if stream.response_started_at and stream.response_complete else 0.0
    return done


def _answer_begun(stream: Exchange) -> float:
    """The first byte of the answer went to the client. An answer of ours goes in one piece."""
    if stream.response is None or not stream.faces_client:
        return 0.0
    begun: float = stream.response_started_at or stream.last_activity
    return begun


def _answer_done(stream: Exchange) -> float:
    """The last byte of the answer went to the client."""
    done: float = stream.last_activity if stream.response_complete and stream.faces_client else 0.0
    return done


def _dialled(stream: Exchange) -> float:
    connection = stream.upstream_connection
    at: float = connection.dialled_at if connection is not None else 0.0
    return at


def _connected(stream: Exchange) -> float:
    connection = stream.upstream_connection
    at: float = connection.connected_at if connection is not None else 0.0
    return at


# By name; one that is not known here prints as missing, as a name that nobody ever set does.
POINTS: dict[str, Callable[[Exchange], float]] = {
    "DS_RX_BEG": _started,
    "DS_RX_END": _request_done,
    "US_CX_BEG": _dialled,
    "US_CX_END": _connected,
    "US_TX_BEG": _upstream_begun,
    "US_TX_END": _upstream_done,
    "US_RX_BEG": _response_begun,
    "US_RX_END": _response_done,
    "DS_TX_BEG": _answer_begun,
    "DS_TX_END": _answer_done,
}


def _span(begin: Callable[[Exchange], float], end: Callable[[Exchange], float], per_second: int) -> Getter:
    """From one point to the other, where both were reached in this order."""

    def span(stream: Exchange) -> Value:
        first, last = begin(stream), end(stream)
        return int((last - first) * per_second + 0.5) if first and last and last >= first else None

    return span


def response_latency(stream: Exchange) -> float | None:
    """Seconds from the first byte that went to the upstream to the last one that came back."""
    begun, done = _upstream_begun(stream), _response_done(stream)
    return done - begun if begun and done else None


def duration_seconds(stream: Exchange) -> float:
    """From the first byte of the request to the end, or until now."""
    # The loop's clock may be behind or before this one.
    span: float = (stream.last_activity if stream.done else time.monotonic()) - stream.started
    return max(0.0, span)


def duration(stream: Exchange) -> int:
    """The same in milliseconds."""
    return int(duration_seconds(stream) * 1000 + 0.5)


plain(
    "DURATION",
    coded("int((stream.last_activity - stream.started) * 1000 + 0.5) if stream.done else now(stream)", now=duration),
)
plain("REQUEST_DURATION", _span(_started, _request_done, 1000))
plain("REQUEST_TX_DURATION", _span(_started, _upstream_done, 1000))
plain("RESPONSE_DURATION", _span(_started, _response_begun, 1000))
plain("RESPONSE_TX_DURATION", _span(_response_begun, _answer_done, 1000))
# Known of QUIC connections alone.
plain("ROUNDTRIP_DURATION", lambda _stream: None)


@operator("COMMON_DURATION", argument="required")
def common_duration(argument: str, _length: int | None) -> Getter:
    """`START:END` in milliseconds, or `START:END:precision`."""
    pieces = argument.split(":")
    if len(pieces) == 2:
        pieces.append("ms")
    if len(pieces) != 3:
        raise ValueError(f"Invalid common duration configuration: {argument}.")
    begin, end = POINTS.get(pieces[0]), POINTS.get(pieces[1])
    if pieces[2] not in _PER_SECOND:
        raise ValueError(f"Invalid common duration precision: {pieces[2]}.")
    if begin is None or end is None:
        return nothing
    return _span(begin, end, _PER_SECOND[pieces[2]])
