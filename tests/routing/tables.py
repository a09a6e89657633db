"""Route tables made from YAML, and streams that ask them, without sockets."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from meshproxy.config.build_routes import build_route_table
from meshproxy.config.context import Context
from meshproxy.config.parse import parse
from meshproxy.config.source import inline
from meshproxy.config.view import View, unread
from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Pair, RequestHeaders, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.net.connection import Connection
from meshproxy.routing.router import Router
from meshproxy.routing.table import RouteTable

NAME = "envoy.config.route.v3.RouteConfiguration"


def context() -> Context:
    """Nothing that is built here runs: no loop is needed before it does. There is one cluster, `origin`."""
    ctx = Context(asyncio.new_event_loop())
    origin: Any = SimpleNamespace(name="origin")
    ctx.clusters.by_name["origin"] = origin
    return ctx


def view_of(text: str) -> View:
    message, problems = parse(inline(text).tree, NAME)
    assert not problems, problems
    return View(message)


def build(text: str, ctx: Context | None = None) -> RouteTable:
    """A table from a RouteConfiguration in YAML; every field must have been read, or ignored with a reason."""
    view = view_of(text)
    table = build_route_table(view, ctx or context())
    assert [str(problem) for problem in unread(view) if problem.severity == "error"] == []
    return table


def routes(*lines: str, ctx: Context | None = None, **fields: Any) -> RouteTable:
    """A table with one virtual host for all domains; each line is a Route, an action is added where there is none."""
    return build(table_text(*lines, **fields), ctx)


def table_text(*lines: str, **fields: Any) -> str:
    entries = [line if "direct_response" in line or "route:" in line or "redirect:" in line or "_action" in line
               else line[:-1] + ", direct_response: {status: 200}}" for line in lines]  # fmt: skip
    more = "".join(f", {name}: {value}" for name, value in fields.items())
    return f"{{name: r{more}, virtual_hosts: [{{name: v, domains: ['*'], routes: [{', '.join(entries)}]}}]}}"


def match(line: str, name: str = "") -> str:
    """A Route whose RouteMatch is `line`."""
    return f"{{name: '{name}', match: {{{line}}}}}"


class Manager:
    """Keeps the reply that a stream got in place of an answer."""

    buffer_limit = 1024
    proxy_100_continue = False

    def __init__(self) -> None:
        self.terminal: Any = Router()
        self.stats: Any = SimpleNamespace(rq_total=0, no_route=0, no_cluster=0, rq_direct_response=0)
        self.reply: LocalReply | None = None

    def prepare_response(self, stream: Stream, headers: ResponseHeaders) -> None: ...

    def prepare_local_reply(self, stream: Stream, reply: LocalReply) -> tuple[ResponseHeaders, bytes]:
        self.reply = reply
        return ResponseHeaders(reply.status, list(reply.headers)), reply.body

    def find_route(self, stream: Stream) -> None: ...
    def finish(self, stream: Stream) -> None: ...


class Server:
    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None


class Listener:
    def connection_ended(self, connection: Connection) -> None: ...


def stream(
    path: str = "/", host: str = "a", method: str = "GET", headers: list[Pair] | None = None, scheme: str = "http"
) -> Stream:
    request = RequestHeaders(method, path, host, [("x-forwarded-proto", scheme), *(headers or [])])
    request.scheme = scheme
    connection = Connection(Listener(), ("127.0.0.1", 80), ("127.0.0.1", 4000), 0.0)
    server: Any = Server()
    return Stream(Manager(), server, connection, request, 0.0)


def found(table: RouteTable, asking: Stream) -> str | None:
    """The name of the route that takes the stream."""
    route = table.match(asking)
    return None if route is None else route.name


def answer(table: RouteTable, asking: Stream) -> LocalReply:
    """What the proxy answers by itself."""
    asking.route = table.match(asking)
    asking.terminal_started = True
    asking.manager.terminal.start(asking, True)
    reply = asking.manager.reply  # type: ignore[attr-defined]
    assert isinstance(reply, LocalReply)
    return reply


def location(table: RouteTable, asking: Stream) -> str | None:
    return dict(answer(table, asking).headers).get("location")


class Attempt:
    """Stands where an attempt stands: nothing is sent, the request stays as the route made it."""

    def __init__(self, router: Router, stream: Stream, cluster: Any, action: Any) -> None:
        self.stream = stream
        self.cluster = cluster
        self.action = action

    def start(self, end: bool) -> None: ...
    def abort(self) -> None: ...


def forwarded(monkeypatch: pytest.MonkeyPatch, table: RouteTable, asking: Stream) -> Stream:
    """The stream at the moment in which its request would go out."""
    monkeypatch.setattr(asking.manager.terminal, "attempt", Attempt)
    for kind in ("judged", "attended"):
        monkeypatch.setattr(asking.manager.terminal, kind, Attempt)
    asking.route = table.match(asking)
    asking.manager.terminal.start(asking, False)
    return asking
