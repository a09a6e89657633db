"""A route as requests meet it: everything that the configuration decided, ready to use."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from meshproxy.http.filter import Hooks, LocalReply
from meshproxy.http.headers import ResponseHeaders
from meshproxy.http.stream import Stream

if TYPE_CHECKING:
    from meshproxy.routing.router import Router

Predicate = Callable[[Stream], bool]
RequestEdit = Callable[[Stream], None]
ResponseEdit = Callable[[Stream, ResponseHeaders], None]


class Action(Protocol):
    """What a route does with a request: forward, redirect, answer, or leave it to a filter."""

    def start(self, router: "Router", stream: Stream, end: bool) -> None: ...


class Route:
    """One entry of a virtual host. `predicates` beyond the path are checked in order; all must hold."""

    __slots__ = ("action", "hooks", "metadata", "name", "overrides", "predicates", "request_edits", "response_edits",
                 "virtual_host")  # fmt: skip

    def __init__(self, action: Action, name: str = "") -> None:
        self.action = action
        self.name = name
        self.predicates: tuple[Predicate, ...] = ()
        self.request_edits: tuple[RequestEdit, ...] = ()
        self.response_edits: tuple[ResponseEdit, ...] = ()
        self.metadata: dict[str, Any] = {}
        # Filter name -> its compiled per-route configuration, most specific level first.
        self.overrides: dict[str, Any] = {}
        self.hooks: Hooks | None = None
        self.virtual_host: VirtualHost | None = None


class VirtualHost:
    """Routes for some domains; first match wins."""

    __slots__ = ("include_attempt_count", "name", "routes")

    def __init__(self, name: str, routes: list[Route]) -> None:
        self.name = name
        self.routes = routes
        self.include_attempt_count = False


class DirectResponse:
    """Answers from the configuration (envoy.config.route.v3.DirectResponseAction)."""

    __slots__ = ("body", "status")

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body

    def start(self, router: "Router", stream: Stream, end: bool) -> None:
        stream.reply(LocalReply(self.status, self.body, "direct_response"))
