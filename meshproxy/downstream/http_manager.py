"""One HTTP entry (Envoy's HttpConnectionManager): route table, filters in order, limits, header rules, logs.

What it does with a request and its answer is put together when configuration arrives (config/build_http_manager.py):
`request_steps` run before the route is looked up, `response_steps` before a response is written.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import cached_property
from time import perf_counter_ns
from typing import Any

from meshproxy.downstream.codec_choice import make_server, take_http2
from meshproxy.downstream.drain import DrainClose
from meshproxy.downstream.http1_server import Http1Server
from meshproxy.downstream.http2_exchange import Http2Exchange, MultiplexedStream
from meshproxy.downstream.http2_server import Http2Server, PrematureResets
from meshproxy.downstream.http_stats import Http1Stats, HttpStats, TracingStats
from meshproxy.downstream.http_timeouts import HttpTimeouts, Timekeeper
from meshproxy.downstream.recreate import recreate
from meshproxy.downstream.response_steps import ResponseStep
from meshproxy.http.filter import Hooks, HttpFilter, LocalReply
from meshproxy.http.h1_head import Http1Options
from meshproxy.http.h2.keepalive import Keepalives
from meshproxy.http.h2.options import Http2Options
from meshproxy.http.h2.stats import Http2Stats
from meshproxy.http.headers import Pair, RequestHeaders, ResponseHeaders
from meshproxy.http.local_replies import LocalReplies
from meshproxy.http.request_steps import Step
from meshproxy.http.sides import Terminal
from meshproxy.http.stream import NO_HOOKS, Stream
from meshproxy.net.clock import http_date
from meshproxy.net.connection import Connection
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.observe.demand import DEMAND
from meshproxy.observe.stats import StatGroup
from meshproxy.routing.forward import Forward
from meshproxy.routing.overrides import specialise
from meshproxy.routing.route import Route
from meshproxy.routing.router import Router
from meshproxy.routing.table import RouteTable

Match = Callable[[Stream], Route | None]


class HttpManager:
    """Shared by every connection of a filter chain."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, stat_prefix: str, routes: RouteTable,
        filters: Sequence[HttpFilter] = (), timeouts: HttpTimeouts | None = None,
    ) -> None:  # fmt: skip
        self.loop = loop
        self.stat_prefix = stat_prefix
        self.stats = HttpStats()
        self.tracing_stats = TracingStats()
        self.http1_stats = Http1Stats()
        self.filters = filters
        # Per upgrade type with filters of its own: the tables of those (they know no routes).
        self.upgrade_hooks: dict[str, Hooks] = {}
        # Upgrade type (lower case; CONNECT too) -> allowed, unless a route says otherwise.
        self.upgrades: dict[str, bool] = {}
        self.terminal: Terminal = Router()
        self.buffer_limit = 1024 * 1024
        # What connections speak: "HTTP1", "HTTP2", or "AUTO" for what they begin with.
        self.codec = "AUTO"
        self.http1 = Http1Options()
        self.http2 = Http2Options()
        # Takes stats that are shown from now on.
        self.show_stats: Callable[[str, StatGroup], None] = lambda _prefix, _group: None
        self.keepalives: Keepalives | None = None
        self.premature_resets = PrematureResets()
        # Load shed points of HTTP/2 connections: whether what comes now ends them.
        self.sheds_http2 = False
        self.go_away: Callable[[], bool] | None = None
        self.go_away_and_close: Callable[[], bool] | None = None
        self.proxy_100_continue = False
        # common_http_protocol_options.max_requests_per_connection; 0: no limit.
        self.max_requests = 0
        # A 400 of ours ends an HTTP/1 connection (stream_error_on_invalid_http_message is off).
        self.close_on_bad_request = True
        self._server_pair: Pair | None = ("server", "envoy")
        self.server_overwrite = True
        self.local_replies = LocalReplies()
        self.request_steps: tuple[Step, ...] = ()
        # Those for requests that we have redirected ourselves.
        self.second_steps: tuple[Step, ...] = ()
        self.response_steps: tuple[ResponseStep, ...] = ()
        self.log: Callable[[Stream], None] | None = None
        self.log_new_requests = False
        self.log_tunnels = False
        # Told of exchanges that are refused with a flag, answered 5xx, or cut; the others never come near it.
        self.failed: Callable[[Stream], None] | None = None
        # While the listener drains: whether the connection of a response is to end.
        self.drain_close: DrainClose | None = None
        self.connections: set[Http1Server | Http2Server] = set()
        self.time = Timekeeper(loop, self, timeouts or HttpTimeouts())
        self.delayed_close = self.time.delayed_close
        self._slow_heads = self.time.slow_heads
        self._per_stream = self.time.per_stream
        self.hooks: Hooks = NO_HOOKS
        self.routes = routes
        self.set_routes(routes)

    @property
    def server_name(self) -> str | None:
        """What responses carry as `server`; None passes on what the upstream sent."""
        return None if self._server_pair is None else self._server_pair[1]

    @server_name.setter
    def server_name(self, name: str | None) -> None:
        self._server_pair = None if name is None else ("server", name)

    def set_routes(self, routes: RouteTable) -> None:
        """Another route table from now on; streams that have their route keep it."""
        self.hooks = specialise(routes, self.filters)
        self.routes = routes
        self._match = _timed(routes.match) if DEMAND.route_time else routes.match

    # ---- connections ----

    def make_protocol(self, connection: Connection) -> asyncio.Protocol:
        """What serves a connection; what its first bytes say may change that."""
        return make_server(self, connection)

    def take_http2(self, server: Http1Server, data: bytes) -> bool:
        """Whether what a connection began with is HTTP/2, which then serves it."""
        return take_http2(self, server, data)

    def codec_made(self, server: Http2Server) -> None:
        """The first bytes of a connection that speaks HTTP/2 have come."""
        server.counted = True
        stats = self.stats
        stats.downstream_cx_http2_total += 1
        stats.downstream_cx_http2_active += 1
        if server.connection.record is not None:
            server.connection.record.protocol = "HTTP/2"

    def connection_made(self, server: Http1Server | Http2Server) -> None:
        stats = self.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        if server.connection.tls is not None:
            stats.downstream_cx_ssl_total += 1
            stats.downstream_cx_ssl_active += 1
        self.connections.add(server)
        self.time.connection_made(server)

    def connection_lost(self, server: Http1Server | Http2Server, closed_here: bool) -> None:
        """Its socket is closed; a stream that is still there will be reset."""
        stats = self.stats
        if closed_here:
            stats.downstream_cx_destroy_local += 1
        else:
            stats.downstream_cx_destroy_remote += 1
        if server.exchanges():
            stats.downstream_cx_destroy_active_rq += 1
            if closed_here:
                stats.downstream_cx_destroy_local_active_rq += 1
            else:
                stats.downstream_cx_destroy_remote_active_rq += 1
        stats.downstream_cx_active -= 1
        if server.connection.tls is not None:
            stats.downstream_cx_ssl_active -= 1
        if server.counted:
            if server.multiplexes:
                stats.downstream_cx_http2_active -= 1
            else:
                stats.downstream_cx_http1_active -= 1
        stats.downstream_cx_destroy += 1
        stats.downstream_cx_length_ms.record(round((self.loop.time() - server.connection.started) * 1000))
        self.connections.discard(server)
        self.time.connection_lost(server)

    def head_started(self, server: Http1Server | Http2Server) -> None:
        """The first bytes of a request's head came, and more must follow."""
        self.time.head_started(server)

    # ---- requests ----

    def start(self, server: Any, connection: Connection, request: RequestHeaders) -> Stream:
        """A request's head has come."""
        stats = self.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_http1_total += 1
        stats.downstream_rq_active += 1
        stream = Stream(self, server, connection, request, self.loop.time())
        # An answer before there is a route goes through the filters as well.
        stream.hooks = self.hooks
        if not server.counted:
            server.counted = True
            if connection.record is not None and request.method:
                connection.record.protocol = stream.protocol
            stats.downstream_cx_http1_total += 1
            stats.downstream_cx_http1_active += 1
        if self._slow_heads:
            self.time.head_complete(server)
        for queue in self._per_stream:
            queue.add(stream)
        stream.timeouts = self._per_stream
        if self.max_requests and server.requests >= self.max_requests:
            stats.downstream_cx_max_requests_reached += 1
            stream.close_after = True
        return stream

    def start_multiplexed(self, exchange: Http2Exchange, server: Http2Server, request: RequestHeaders) -> Stream:
        """The same for a request that shares its connection with others."""
        stats = self.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_http2_total += 1
        stats.downstream_rq_active += 1
        if self._slow_heads:
            self.time.head_complete(server)
        stream = MultiplexedStream(self, exchange, server.connection, request, self.loop.time())
        stream.hooks = self.hooks
        for queue in self._per_stream:
            queue.add(stream)
        stream.timeouts = self._per_stream
        if self.max_requests and server.requests >= self.max_requests:
            stats.downstream_cx_max_requests_reached += 1
            if not server.leaving:
                self.time.drain(server)
        return stream

    def counts_only(self) -> bool:
        """Whether nobody need be told of a request that its client gives up before it has begun: it is no failure."""
        return not (self.log is not None or self.hooks.done or self.max_requests or self._slow_heads)

    def count_unbegun(self) -> None:
        """What `start_multiplexed` and `finish` count of such a request."""
        stats = self.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_http2_total += 1
        stats.downstream_rq_rx_reset += 1
        stats.downstream_rq_time.record(0)

    @cached_property
    def http2_stats(self) -> Http2Stats:
        """Made with the first connection that speaks it: until then nothing is shown, as in Envoy."""
        stats = Http2Stats()
        self.show_stats("http2", stats)
        return stats

    def run(self, stream: Stream, end: bool, steps: tuple[Step, ...] | None = None) -> None:
        """Everything from the head to the first filter. steps: other ones than those of a fresh request."""
        if end:
            stream.request_complete = True
            stream.request_done_at = stream.last_activity
        for step in self.request_steps if steps is None else steps:
            reply = step(stream)
            if reply is not None:
                stream.reply(reply)
                return
        self.find_route(stream)
        request = stream.request
        if (request.protocol is not None or request.method == "CONNECT") and not self._admit_upgrade(stream):
            return
        if self.log_new_requests:
            self.log_moment(stream, "DownstreamStart")
        stream.receive_headers(end)

    def find_route(self, stream: Stream) -> None:
        route = self._match(stream)
        stream.route = route
        if route is None:
            stream.hooks = self.hooks
            return
        stream.hooks = self.hooks if route.hooks is None else route.hooks
        if route.idle_timeout or route.max_duration is not None:
            self.time.route_found(stream, route)

    def look_up(self, stream: Stream) -> Route | None:
        """The route that its request would find now; it keeps its own."""
        host = stream.virtual_host
        found = self._match(stream)
        stream.virtual_host = host
        return found

    def recreate(self, stream: Stream, headers: ResponseHeaders, body: Sequence[bytes]) -> None:
        recreate(self, stream, headers, body)

    def _admit_upgrade(self, stream: Stream) -> bool:
        """Whether the route (or, where it says nothing, the manager) allows the upgrade; else the answer is given."""
        kind = stream.request.protocol or "connect"
        route = stream.route
        allowed: bool | None = None
        if route is not None and isinstance(route.action, Forward):
            allowed = route.action.upgrades.get(kind)
        if allowed is None:
            allowed = self.upgrades.get(kind, False)
        if not allowed and route is not None:
            self.stats.downstream_rq_ws_on_non_ws_route += 1
            stream.close_after = True
            stream.reply(LocalReply(403, b"", "upgrade_failed"))
            return False
        if stream.connect_authority:
            stream.request.authority = stream.connect_authority
        if allowed:
            self.stats.downstream_cx_upgrades_total += 1
            self.stats.downstream_cx_upgrades_active += 1
            stream.upgraded = True
            stream.hooks = self.upgrade_hooks.get(kind, stream.hooks)
        return True

    # ---- responses ----

    def prepare_response(self, stream: Stream, headers: ResponseHeaders) -> None:
        """What every response gets before it is written, in Envoy's order."""
        index = headers.index
        server = self._server_pair
        if server is not None and "date" not in index and "server" not in index:
            headers.add_new(("date", http_date()), server)
        else:
            self._add_missing(headers)
        for step in self.response_steps:
            step(stream, headers)
        stats = self.stats
        if self.drain_close is not None:
            self._drain(stream.server.carrier)
        if not stream.request_complete:
            stats.downstream_rq_response_before_rq_complete += 1
        if stream.health_check:
            self.tracing_stats.health_check += 1
            return
        status = headers.status
        if 200 <= status < 300:
            stats.downstream_rq_completed += 1
            stats.downstream_rq_2xx += 1
        else:
            self.count(status)
            if status >= 500 and self.failed is not None and stream.details == "via_upstream":
                self.failed(stream)

    def _drain(self, server: Any) -> None:
        """Its connection ends soon, where it does not already and the listener's drain says so."""
        if not server.leaving and self.drain_close is not None and self.drain_close():
            self.stats.downstream_cx_drain_close += 1
            self.time.drain(server)

    def _add_missing(self, headers: ResponseHeaders) -> None:
        """Date and Server where the upstream sent one of them, or where Server is not ours to set."""
        if "date" not in headers.index:
            headers.add_new(("date", http_date()))
        server = self._server_pair
        if server is None:
            return
        if "server" not in headers.index:
            headers.add_new(server)
        elif self.server_overwrite:
            headers.set(*server)

    def count(self, status: int) -> None:
        """A response, also an informational one, by its class."""
        stats = self.stats
        stats.downstream_rq_completed += 1
        if status < 300:
            if status >= 200:
                stats.downstream_rq_2xx += 1
            else:
                stats.downstream_rq_1xx += 1
        elif status < 400:
            stats.downstream_rq_3xx += 1
        elif status < 500:
            stats.downstream_rq_4xx += 1
        elif status < 600:
            stats.downstream_rq_5xx += 1

    def prepare_local_reply(self, stream: Stream, reply: LocalReply) -> tuple[ResponseHeaders, bytes]:
        """The head of an answer of ours and its body, before the filters see them."""
        if reply.status == 400 and self.close_on_bad_request:
            stream.server.drain()
        route = stream.route
        if route is None or not route.response_edits:
            headers = ResponseHeaders(reply.status, list(reply.headers))
        elif route.action.forwards:
            headers = ResponseHeaders(reply.status, [])
            _edit(stream, headers)
            for name, value in reply.headers:
                headers.add(name, value)
        else:
            # What a direct response or redirect says stands in front, and the edits are for nothing else.
            headers = ResponseHeaders(reply.status, list(reply.headers))
            if reply.details == "direct_response":
                _edit(stream, headers)
        body = self.local_replies.render(stream, reply, headers)
        if self.failed is not None and (reply.status >= 500 or stream.flags):
            stream.response = headers
            self.failed(stream)
        return headers, body

    def finish(self, stream: Stream) -> None:
        stats = self.stats
        stats.downstream_rq_active -= 1
        if stream.upgraded:
            stats.downstream_cx_upgrades_active -= 1
        if not (stream.request_complete and stream.response_complete):
            stats.downstream_rq_rx_reset += 1
            if self.failed is not None and stream.flags and not stream.response_complete:
                self.failed(stream)
        now = stream.last_activity = self.loop.time()
        stats.downstream_rq_time.record(round((now - stream.started) * 1000))
        if self.log is not None:
            self._log(stream)
        stream.server.release(stream)

    def log_every(self, seconds: float) -> None:
        """Streams that last are logged again and again (access_log_flush_interval)."""

        def again(stream: Stream) -> float:
            self.log_moment(stream, "DownstreamPeriodic")
            return seconds

        self._per_stream = (*self._per_stream, TimeoutQueue(self.loop, seconds, again))

    def tunnel_accepted(self, stream: Stream) -> None:
        """An upgrade or CONNECT is answered with yes."""
        if self.log_tunnels:
            self.log_moment(stream, "DownstreamTunnelSuccessfullyEstablished")

    def log_moment(self, stream: Stream, kind: str) -> None:
        """An entry for a stream that lives on."""
        stream.log_type = kind
        self._log(stream)
        stream.log_type = "DownstreamEnd"

    def _log(self, stream: Stream) -> None:
        if self.log is None:
            return
        # Not with the router yet, or answered before it: the log names the cluster nevertheless.
        stream.cluster = stream.find_cluster()
        self.log(stream)


def _timed(match: Match) -> Match:
    """Notes with the stream how many microseconds its look-ups take."""

    def find(stream: Stream) -> Route | None:
        begun = perf_counter_ns()
        route = match(stream)
        stream.route_time = (stream.route_time or 0) + (perf_counter_ns() - begun) // 1000
        return route

    return find


def _edit(stream: Stream, headers: ResponseHeaders) -> None:
    for edit in stream.route.response_edits:
        edit(stream, headers)
