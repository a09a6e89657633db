"""The timeouts of an HTTP manager's connections and streams.

What is on by default (idle connections, idle streams) costs nothing per request: a connection is looked at now and
then, and what it has been doing is compared with the clock. Only timeouts that a configuration sets add a stream to a
queue.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Union

from meshproxy.http.filter import LocalReply
from meshproxy.http.h2 import frames
from meshproxy.http.stream import Stream
from meshproxy.net.randomness import source
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.routing.deadlines import Deadlines
from meshproxy.routing.route import Route

if TYPE_CHECKING:
    from meshproxy.downstream.http1_server import Http1Server
    from meshproxy.downstream.http2_exchange import Http2Exchange
    from meshproxy.downstream.http2_server import Http2Server
    from meshproxy.downstream.http_manager import HttpManager

Server = Union["Http1Server", "Http2Server"]
# The loop's clock counts whole milliseconds.
_TICK = 0.001
_DEADLINE_EXCEEDED = 4


@dataclass(frozen=True, slots=True)
class HttpTimeouts:
    """Seconds, 0 for none. Fields of HttpConnectionManager and of its common_http_protocol_options."""

    idle: float = 3600.0
    max_connection: float = 0.0
    # By how many percent at most a connection may get older, so that not all end at once.
    max_connection_jitter: float = 0.0
    # http1_safe_max_connection_duration: only announced in the next response, never enforced.
    max_connection_safe: bool = False
    drain: float = 5.0
    delayed_close: float = 1.0
    stream_idle: float = 300.0
    # stream_flush_timeout; 0 for that of idle streams.
    flush: float = 0.0
    request: float = 0.0
    request_headers: float = 0.0
    max_stream: float = 0.0


_random = source("connection durations").random
# Seconds between two looks at a client whose reader is stopped.
_LOOK_AT_PAUSED = 0.5
# The first byte of Linux's struct tcp_info: states in which the peer has ended its side, or the connection is gone.
_ENDED = frozenset({7, 8})


def _look_at_paused(server: "Http1Server") -> float:
    """Ends a connection whose client has gone while nobody reads from it (Envoy's early close detection)."""
    if server.closing or not server.paused:
        return 0.0
    sock = server.transport.get_extra_info("socket")
    if sock.family != socket.AF_UNIX and sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _ENDED:
        server.transport.abort()
        return 0.0
    return _LOOK_AT_PAUSED


def _as_it_is(seconds: float) -> float:
    return seconds


class Timekeeper:
    """Watches the connections of one manager."""

    def __init__(self, loop: asyncio.AbstractEventLoop, manager: "HttpManager", timeouts: HttpTimeouts) -> None:
        self._loop = loop
        self._manager = manager
        self._timeouts = timeouts
        self._configured = timeouts
        # Where overload has shortened a timeout: by how much it does so to a stream's own idle timeout.
        self._shortened = False
        self._shorten_idle: Callable[[float], float] = _as_it_is
        self._deadlines = Deadlines(loop)
        self.delayed_close = self._connections(timeouts.delayed_close, self._close_delayed)
        self._period = min([seconds for seconds in (timeouts.idle, timeouts.stream_idle) if seconds], default=0.0)
        self._watch = self._connections(self._period, self._look)
        self._ages = self._connections(timeouts.max_connection, self._too_old)
        # A head that has begun must be complete in time: Envoy has a stream for it, we have none yet.
        heads = [seconds for seconds in (timeouts.request_headers, timeouts.request, timeouts.stream_idle) if seconds]
        self._heads = self._connections(min(heads, default=0.0), self._head_too_slow)
        self.slow_heads: set[Server] = set()
        # Connections whose reader is stopped see no end: somebody has to look after them.
        self.paused: TimeoutQueue[Any] = TimeoutQueue(loop, _LOOK_AT_PAUSED, _look_at_paused)
        self._drains: TimeoutQueue[Server] = TimeoutQueue(loop, timeouts.drain, self._drained)
        self._flushes = self._connections(timeouts.flush or timeouts.stream_idle, self._flush_too_slow)
        # Those whose routes have a flush_timeout.
        self._flushes_by_route: TimeoutQueue[Any] = TimeoutQueue(loop, 0.0, self._flush_too_slow)
        self._queues = tuple(
            self._deadlines.queue(seconds, expired)
            for seconds, expired in (
                (timeouts.request, self._request_too_slow),
                (timeouts.max_stream, self._stream_too_long),
            )
            if seconds
        )

    def _connections(self, seconds: float, expired: Any) -> TimeoutQueue[Any] | None:
        return TimeoutQueue(self._loop, seconds, expired) if seconds else None

    # ---- overload ----

    def scale(self, timer: str, least: Callable[[float], float], pressure: float) -> None:
        """reduce_timeouts: one kind of timeout comes down towards its `least` as the pressure goes up to 1."""

        def shorten(seconds: float) -> float:
            low = least(seconds)
            return low + (seconds - low) * (1 - pressure)

        timeouts, configured = self._timeouts, self._configured
        if timer == "HTTP_DOWNSTREAM_CONNECTION_IDLE":
            timeouts = replace(timeouts, idle=shorten(configured.idle))
        elif timer == "HTTP_DOWNSTREAM_CONNECTION_MAX":
            timeouts = replace(timeouts, max_connection=shorten(configured.max_connection))
        elif timer == "HTTP_DOWNSTREAM_STREAM_IDLE":
            timeouts = replace(timeouts, stream_idle=shorten(configured.stream_idle))
            self._shorten_idle = shorten if pressure else _as_it_is
        self._timeouts = timeouts
        self._shortened = timeouts != self._configured
        self._period = min([seconds for seconds in (timeouts.idle, timeouts.stream_idle) if seconds], default=0.0)
        for server in self._manager.connections:
            self._wait_shortened(server)
            for stream in server.exchanges():
                if stream.route is not None and stream.route.idle_timeout:
                    self._deadlines.queue(stream.route.idle_timeout, self._idle_on_route).add_for(stream, 0.0)

    def _wait_shortened(self, server: Server) -> None:
        """As `connection_made`, for timeouts that are not those of the queues."""
        if self._watch is not None:
            self._watch.add_for(server, min(self._period, max(0.0, self._left_of_idle(server))))
        if self._ages is not None:
            age = self._loop.time() - server.connection.started
            self._ages.add_for(server, max(0.0, self._timeouts.max_connection - age))

    def _left_of_idle(self, server: Server) -> float:
        """0 where it is time for a look."""
        busy = bool(server.exchanges())
        if busy or not self._timeouts.idle:
            return 0.0 if busy else self._period
        return server.last_activity + self._timeouts.idle - self._loop.time()

    # ---- what begins ----

    def connection_made(self, server: Server) -> None:
        if self._shortened:
            self._wait_shortened(server)
            return
        if self._watch is not None:
            self._watch.add(server)
        if self._ages is None:
            return
        jitter = self._timeouts.max_connection_jitter
        if jitter:
            self._ages.add_for(server, self._timeouts.max_connection * (1 + _random() * jitter / 100))
        else:
            self._ages.add(server)

    def connection_lost(self, server: Server) -> None:
        self.slow_heads.discard(server)
        for queue in (self._watch, self._ages, self._heads, self._drains, self.paused):
            if queue is not None:
                queue.discard(server)

    def head_started(self, server: Server) -> None:
        """The first bytes of a head came, and more must follow."""
        if self._heads is not None and server not in self.slow_heads:
            self.slow_heads.add(server)
            self._heads.add(server)

    def flush_begins(self, exchange: "Http2Exchange", route: Route | None) -> None:
        """Its response is complete, but waits for the client's window."""
        seconds = None if route is None else route.flush_timeout
        if seconds:
            self._flushes_by_route.add_for(exchange, seconds)
        elif seconds is None and self._flushes is not None:
            self._flushes.add(exchange)

    def flushed(self, exchange: Any) -> None:
        """It has left, or will never."""
        if self._flushes is not None:
            self._flushes.discard(exchange)
        self._flushes_by_route.discard(exchange)

    def head_complete(self, server: Server) -> None:
        """For those in `slow_heads`."""
        if self._heads is not None:
            self.slow_heads.discard(server)
            self._heads.discard(server)

    @property
    def per_stream(self) -> tuple[TimeoutQueue[Stream], ...]:
        """The queues that every stream waits in."""
        return self._queues

    def route_found(self, stream: Stream, route: Route) -> None:
        """The timeouts of the route, in place of ours."""
        if route.idle_timeout:
            self._wait(stream, self._deadlines.queue(route.idle_timeout, self._idle_on_route))
        if route.max_duration is not None:
            seconds = route.max_duration.of(stream.request)
            if seconds is not None:
                self._limit(stream, seconds)

    def _limit(self, stream: Stream, seconds: float) -> None:
        """The stream lasts this long at most from its start, whatever we would have allowed; 0: as long as it likes."""
        own = self._timeouts.max_stream
        if own:
            self._deadlines.queue(own, self._stream_too_long).discard(stream)
        if seconds:
            queue = self._deadlines.queue(0.0, self._stream_too_long)
            queue.add_for(stream, max(0.0, stream.started + seconds - self._loop.time()))
            stream.timeouts = (*stream.timeouts, queue)

    def _wait(self, stream: Stream, queue: TimeoutQueue[Stream]) -> None:
        queue.add(stream)
        stream.timeouts = (*stream.timeouts, queue)

    # ---- what expires ----

    def _look(self, server: Server) -> float:
        """Whether the connection, or its stream, has been idle for too long; when to look again."""
        if server.closing:
            return 0.0
        streams = server.exchanges()
        if streams:
            return min([self._look_at(stream) for stream in streams])
        idle = self._timeouts.idle
        if not idle:
            return self._period
        left: float = server.last_activity + idle - self._loop.time()
        if left > _TICK:
            return min(left, self._period)
        self._manager.stats.downstream_cx_idle_timeout += 1
        if not server.requests:
            server.connection.local_close_reason = "on_idle_timeout"
        self._drain(server)
        return 0.0

    def _look_at(self, stream: Stream) -> float:
        """The same for a stream, unless its route says how long it may be idle."""
        idle = self._timeouts.stream_idle
        route = stream.route
        if not idle or (route is not None and route.idle_timeout is not None):
            return self._period
        left = stream.last_activity + idle - self._loop.time()
        if left > _TICK:
            return min(left, self._period)
        self._stream_idle(stream)
        return self._period

    def _idle_on_route(self, stream: Stream) -> float:
        route = stream.route
        if stream.done or route is None or not route.idle_timeout:
            return 0.0
        left: float = stream.last_activity + self._shorten_idle(route.idle_timeout) - self._loop.time()
        if left <= _TICK:
            self._stream_idle(stream)
            return 0.0
        return left

    def _stream_idle(self, stream: Stream) -> None:
        self._manager.stats.downstream_rq_idle_timeout += 1
        stream.add_flag("SI")
        stream.reply(_timed_out(stream, b"stream timeout", "stream_idle_timeout"))

    def _request_too_slow(self, stream: Stream) -> float:
        if stream.done or stream.response is not None or (stream.request_complete and stream.request_hold is None):
            return 0.0
        self._manager.stats.downstream_rq_timeout += 1
        stream.reply(_timed_out(stream, b"request timeout", "request_overall_timeout"))
        return 0.0

    def _stream_too_long(self, stream: Stream) -> float:
        if not stream.done:
            self._manager.stats.downstream_rq_max_duration_reached += 1
            reply = _timed_out(stream, b"downstream duration timeout", "max_duration_timeout")
            reply.grpc_status = _DEADLINE_EXCEEDED
            stream.reply(reply)
        return 0.0

    def _flush_too_slow(self, exchange: "Http2Exchange") -> float:
        """The client does not take the rest of a response (stream_flush_timeout)."""
        exchange.connection.stats.tx_flush_timeout += 1
        exchange.write_reset(frames.INTERNAL_ERROR)
        return 0.0

    def _head_too_slow(self, server: Server) -> float:
        """The head that began is not complete. Which of the timeouts has come is told by their order."""
        self.slow_heads.discard(server)
        manager = self._manager
        stats = manager.stats
        timeouts = self._timeouts
        stream = server.start_nameless()
        waited = self._heads.seconds if self._heads is not None else 0.0
        if waited == timeouts.request_headers:
            stats.downstream_rq_header_timeout += 1
            stream.reply(_timed_out(stream, b"request header timeout", "request_header_timeout"))
        elif waited == timeouts.request:
            stats.downstream_rq_timeout += 1
            stream.reply(_timed_out(stream, b"request timeout", "request_overall_timeout"))
        else:
            self._stream_idle(stream)
        return 0.0

    def _too_old(self, server: Server) -> float:
        self._manager.stats.downstream_cx_max_duration_reached += 1
        if self._timeouts.max_connection_safe and not server.multiplexes:
            server.drain()
        else:
            self._drain(server)
        return 0.0

    def _drain(self, server: Server) -> None:
        """Envoy closes at once what has never spoken."""
        if not server.spoke:
            server.close(delayed=False)
        elif not server.leaving:
            self.drain(server)

    def drain(self, server: Server) -> None:
        """Envoy's drain sequence: responses say `connection: close`, or GOAWAY does, and after drain_timeout the
        connection ends."""
        server.leave()
        self._drains.add(server)

    def _drained(self, server: Server) -> float:
        if not server.closing:
            server.end_drain()
        return 0.0

    def _close_delayed(self, server: Server) -> float:
        unsent = server.transport.get_write_buffer_size()
        if 0 < unsent < server.unsent:
            # It goes slowly, but it goes: Envoy's timer begins anew with every write.
            server.unsent = unsent
            return self.delayed_close.seconds if self.delayed_close is not None else 0.0
        self._manager.stats.downstream_cx_delayed_close_timeout += 1
        server.connection.local_close_reason = "triggered_delayed_close_timeout"
        server.transport.abort()
        return 0.0


def _timed_out(stream: Stream, body: bytes, details: str) -> LocalReply:
    """408 while the request is not complete, else 504 (Envoy's maybeRequestTimeoutCode)."""
    return LocalReply(504 if stream.request_complete else 408, body, details)
