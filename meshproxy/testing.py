"""A bench for filters: requests go through the real codec, manager and chain, but no socket is opened.

    bench = Bench([Greeting("Good morning")])
    answer = bench.ask(path="/", headers=[("x-name", "Ann")])
    assert answer.header("x-greeting") == "Good morning"
    assert bench.requests[0].header("x-name") == "Ann"      # what the upstream received

See docs/filters.md. Nothing in the proxy itself uses this.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from meshproxy.config.build_http_manager import build_http_manager
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigErrors
from meshproxy.config.parse import parse
from meshproxy.config.view import View, unread
from meshproxy.downstream.http1_server import Http1Server
from meshproxy.http.chunked import ChunkedDecoder
from meshproxy.http.filter import HttpFilter
from meshproxy.http.headers import Headers, Pair, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.net.connection import Connection
from meshproxy.routing.router import Router

_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_BUFFER_LIMIT = 1024 * 1024
# Seconds that a filter may take over one request.
_PATIENCE = 10.0


@dataclass(slots=True)
class Message:
    """A request as the upstream received it, or a response as the client did. Names are lower case."""

    headers: list[Pair]
    body: bytes = b""
    status: int = 0
    method: str = ""
    path: str = ""
    host: str = ""

    def header(self, name: str) -> str | None:
        """The value, joined with commas where the name repeats; None where it is absent."""
        return Headers(self.headers).get(name)


@dataclass(slots=True)
class Answer:
    """What the upstream of a bench says to every request."""

    status: int = 200
    headers: Sequence[Pair] = ()
    body: bytes = b"upstream"
    trailers: Sequence[Pair] = ()


@dataclass
class Bench:
    """An HTTP connection manager with the filters in front of one upstream.

    `filters`: entries of `http_filters` without the router; filters that are built already stand in front of those
    that are configured. `routes`: those of the one virtual host, `host` more of
    its fields, `manager` more of the HttpConnectionManager. ConfigErrors is raised for whatever is wrong in them, and
    for fields that nothing reads.
    """

    filters: Sequence[dict[str, Any] | HttpFilter] = ()
    routes: Sequence[dict[str, Any]] = ({"match": {"prefix": "/"}, "route": {"cluster": "upstream"}},)
    host: dict[str, Any] = field(default_factory=dict)
    manager: dict[str, Any] = field(default_factory=dict)
    answer: Answer = field(default_factory=Answer)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self.ctx = Context(self.loop)
        self.requests: list[Message] = []
        # Exchanges that are over, as access logs see them: flags, details, metadata, filter_state.
        self.streams: list[Stream] = []
        view = self._view()
        self.http = build_http_manager(view, self.ctx, _BUFFER_LIMIT)
        if problems := [problem for problem in unread(view) if problem.severity == "error"]:
            raise ConfigErrors(problems)
        self.http.filters = [*self._built(), *self.http.filters]
        self.http.set_routes(self.http.routes)
        self.http.terminal = _Upstream(self)
        self.http.log = self.streams.append

    def ask(
        self,
        method: str = "GET",
        path: str = "/",
        headers: Sequence[Pair] = (),
        body: bytes | Sequence[bytes] = b"",
        host: str = "example.com",
    ) -> Message:
        """The answer to one request on a connection of its own. A body in pieces is chunked and comes bit by bit."""
        lines = [f"{method} {path} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers)]
        pieces = [body] if isinstance(body, bytes) else [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body]
        if isinstance(body, bytes):
            lines += [f"content-length: {len(body)}"] if body else []
        else:
            lines.append("transfer-encoding: chunked")
            pieces.append(b"0\r\n\r\n")
        head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        return self.loop.run_until_complete(self._exchange([head, *pieces], method))

    def stats(self, prefix: str) -> dict[str, int]:
        """The counters under this prefix that are not zero, such as `http.bench.cors`."""
        groups = [group for name, group in self.ctx.stats.groups() if name == prefix]
        counters = [row for group in groups for row in group.rows() if row[0] == "counter"]
        return {name: value for _, name, value in counters if isinstance(value, int) and value}

    async def _exchange(self, pieces: list[bytes], method: str) -> Message:
        client = _Client()
        connection = Connection(client, ("127.0.0.1", 80), ("127.0.0.1", 50000), self.loop.time())
        server = Http1Server(self.http, connection)
        server.connection_made(client)
        finished = len(self.streams)
        for piece in pieces:
            server.data_received(piece)
            await asyncio.sleep(0)
        async with asyncio.timeout(_PATIENCE):
            while len(self.streams) == finished:
                await asyncio.sleep(0)
        answer = client.message(method)
        server.connection_lost(None)
        return answer

    def _built(self) -> list[HttpFilter]:
        built = [each for each in self.filters if isinstance(each, HttpFilter)]
        for each in built:
            each.name = each.name or type(each).__name__
        return built

    def _view(self) -> View:
        virtual_host = {"name": "bench", "domains": ["*"], "routes": list(self.routes), **self.host}
        router = {"name": "router", "typed_config": {"@type": _ROUTER}}
        tree = {
            "stat_prefix": "bench",
            "route_config": {"name": "bench", "virtual_hosts": [virtual_host], "validate_clusters": False},
            "http_filters": [*(each for each in self.filters if isinstance(each, dict)), router],
            **self.manager,
        }
        message, problems = parse(tree, _MANAGER)
        if problems:
            raise ConfigErrors(problems)
        return View(message)


class _Upstream(Router):
    """Takes what would go to a cluster, and answers; redirects and direct responses are the router's."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench

    def start(self, stream: Stream, end: bool) -> None:
        if stream.route is None or not stream.route.action.forwards:
            super().start(stream, end)
            return
        request = stream.request
        seen = Message(list(request.pairs), method=request.method, path=request.path, host=request.authority)
        self._bench.requests.append(seen)
        if end or stream.upgraded:
            self._answer(stream)

    def send_data(self, stream: Stream, data: bytes, end: bool) -> None:
        self._bench.requests[-1].body += data
        if end:
            self._answer(stream)

    def send_trailers(self, stream: Stream, trailers: Headers) -> None:
        self._answer(stream)

    def _answer(self, stream: Stream) -> None:
        answer = self._bench.answer
        pairs = list(answer.headers)
        if not answer.trailers:
            pairs.append(("content-length", str(len(answer.body))))
        stream.details = "via_upstream"
        stream.respond_headers(ResponseHeaders(answer.status, pairs), not answer.body and not answer.trailers)
        if answer.body:
            stream.respond_data(answer.body, not answer.trailers)
        if answer.trailers:
            stream.respond_trailers(Headers(answer.trailers))


class _Client(asyncio.Transport):
    """The client's end: a transport that keeps what is written. It is the connection's listener as well."""

    def __init__(self) -> None:
        super().__init__()
        self.received = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.received += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def connection_ended(self, connection: Connection, admitted: bool = True) -> None: ...

    def message(self, method: str) -> Message:
        head, _, body = self.received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        answer = Message(headers, b"" if method == "HEAD" else body, status=int(first.split(" ")[1]))
        if answer.header("transfer-encoding") == "chunked":
            answer.body = ChunkedDecoder().feed(body)[0]
        return answer
