"""One HTTP entry (Envoy's HttpConnectionManager): route table, filters in order, limits, header rules, logs."""

import asyncio
from collections.abc import Callable

from meshproxy.downstream.http1_server import Http1Server
from meshproxy.downstream.http_stats import HttpStats
from meshproxy.http.filter import Hooks, LocalReply
from meshproxy.http.h1_head import Http1Options
from meshproxy.http.headers import RequestHeaders, ResponseHeaders
from meshproxy.http.request_id import new_request_id
from meshproxy.http.stream import NO_HOOKS, ServerSide, Stream, Terminal
from meshproxy.net.clock import http_date
from meshproxy.net.connection import Connection
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.routing.router import Router
from meshproxy.routing.table import RouteTable

RequestStep = Callable[[Stream], LocalReply | None]


class HttpManager:
    """Shared by every connection of a filter chain."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stat_prefix: str, routes: RouteTable) -> None:
        self.loop = loop
        self.stat_prefix = stat_prefix
        self.stats = HttpStats()
        self.routes = routes
        self.terminal: Terminal = Router()
        self.hooks: Hooks = NO_HOOKS
        self.buffer_limit = 1024 * 1024
        self.http1 = Http1Options()
        self.proxy_100_continue = False
        self.delayed_close: TimeoutQueue[Http1Server] | None = TimeoutQueue(loop, 1.0, self._close_delayed)
        self.server_name = "envoy"
        self.request_steps: tuple[RequestStep, ...] = ()

    def start(self, server: ServerSide, connection: Connection, request: RequestHeaders, end: bool) -> Stream:
        """A request's head has come."""
        stats = self.stats
        stats.downstream_rq_total += 1
        stats.downstream_rq_active += 1
        stream = Stream(self, server, connection, request, self.loop.time())
        return stream

    def run(self, stream: Stream, end: bool) -> None:
        for step in self.request_steps:
            reply = step(stream)
            if reply is not None:
                stream.reply(reply)
                return
        request = stream.request
        index = request.index
        if "x-forwarded-proto" not in index:
            request.add("x-forwarded-proto", request.scheme)
        if "x-request-id" not in index:
            request.add("x-request-id", new_request_id())
        self.find_route(stream)
        stream.receive_headers(end)

    def head_started(self, server: Http1Server) -> None:
        """The first bytes of a request's head came, and more must follow (request_headers_timeout starts)."""

    def _close_delayed(self, server: Http1Server) -> float:
        self.stats.downstream_cx_delayed_close_timeout += 1
        server.transport.close()
        return 0

    def connection_made(self, server: Http1Server) -> None:
        stats = self.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        stats.downstream_cx_http1_total += 1
        stats.downstream_cx_http1_active += 1

    def connection_lost(self, server: Http1Server) -> None:
        stats = self.stats
        stats.downstream_cx_active -= 1
        stats.downstream_cx_http1_active -= 1
        stats.downstream_cx_destroy += 1
        stats.downstream_cx_length_ms.record(round((self.loop.time() - server.connection.started) * 1000))

    def find_route(self, stream: Stream) -> None:
        route = self.routes.match(stream)
        stream.route = route
        stream.hooks = self.hooks if route is None or route.hooks is None else route.hooks

    def prepare_response(self, stream: Stream, headers: ResponseHeaders) -> None:
        """What every response gets before it is written."""
        headers.set("server", self.server_name)
        if "date" not in headers.index:
            headers.add("date", http_date())

    def prepare_local_reply(self, stream: Stream, reply: LocalReply) -> ResponseHeaders:
        pairs = list(reply.headers)
        if reply.body:
            pairs = [("content-length", str(len(reply.body))), ("content-type", reply.content_type), *pairs]
        pairs.append(("date", http_date()))
        return ResponseHeaders(reply.status, pairs)

    def finish(self, stream: Stream) -> None:
        stats = self.stats
        stats.downstream_rq_active -= 1
        response = stream.response
        if response is not None:
            stats.downstream_rq_completed += 1
            group = response.status // 100
            if group == 2:
                stats.downstream_rq_2xx += 1
            elif group == 4:
                stats.downstream_rq_4xx += 1
            elif group == 5:
                stats.downstream_rq_5xx += 1
            elif group == 3:
                stats.downstream_rq_3xx += 1
        stats.downstream_rq_time.record(round((self.loop.time() - stream.started) * 1000))
        stream.server.release(stream)
