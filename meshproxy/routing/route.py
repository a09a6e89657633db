"""A route as requests meet it: everything that the configuration decided, ready to use."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from meshproxy.http.filter import Hooks
from meshproxy.http.headers import ResponseHeaders
from meshproxy.http.stream import Stream

if TYPE_CHECKING:
    from meshproxy.routing.grpc_timeout import MaxDuration
    from meshproxy.routing.overrides import Overrides
    from meshproxy.routing.router import Router
    from meshproxy.routing.stats import RequestStats
    from meshproxy.routing.table import VirtualHost

Predicate = Callable[[Stream], bool]
RequestEdit = Callable[[Stream], None]
ResponseEdit = Callable[[Stream, ResponseHeaders], None]


# Shared by all that have none: tables may be large.
_NONE: Mapping[str, Any] = MappingProxyType({})


class Action(Protocol):
    """What a route does with a request: forward, redirect, answer, or leave it to a filter.

    `forwards`: whether it sends requests to a cluster (Envoy's RouteEntry); some filters care for no others.
    """

    forwards: ClassVar[bool]

    def start(self, router: "Router", stream: Stream, end: bool) -> None: ...


class Route:
    """One entry of a virtual host. `predicates` beyond the path are checked in order; all must hold.

    `choices`: the routes that share the traffic of this one, where it has weighted clusters; `choose` draws one.
    `response_edits` are for whoever makes the response: the attempt, or the manager for a local reply.
    `idle_timeout` and `max_duration` (a MaxDuration) are for the manager, in place of its own; None leaves it its own.
    """

    __slots__ = (
        "action", "choices", "choose", "flush_timeout", "hooks", "idle_timeout", "max_duration", "metadata", "name",
        "overrides", "predicates", "request_edits", "response_edits", "stats", "virtual_host",
    )  # fmt: skip

    def __init__(self, action: Action, name: str = "") -> None:
        self.action = action
        self.name = name
        self.predicates: tuple[Predicate, ...] = ()
        self.request_edits: tuple[RequestEdit, ...] = ()
        self.response_edits: tuple[ResponseEdit, ...] = ()
        # Namespace -> the values of config.core.v3.Metadata.
        self.metadata: Mapping[str, Any] = _NONE
        # What each level configures for filters, the most specific first; levels without any are left out.
        self.overrides: tuple[Overrides, ...] = ()
        self.hooks: Hooks | None = None
        self.virtual_host: VirtualHost | None = None
        self.choices: tuple[Route, ...] = ()
        self.choose: Callable[[Stream], Route] | None = None
        # Seconds; 0 switches the manager's stream_idle_timeout off.
        self.idle_timeout: float | None = None
        # Seconds that a client of HTTP/2 may take for the rest of a response, in place of the manager's; 0: any.
        self.flush_timeout: float | None = None
        self.max_duration: MaxDuration | None = None
        # `vhost.<name>.route.<stat_prefix>`
        self.stats: RequestStats | None = None
