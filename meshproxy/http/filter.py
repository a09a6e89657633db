"""The contract of an HTTP filter. This is the public API: a user's own filter subclasses `HttpFilter`.

One object per configured filter serves every request; what belongs to one request lives on the stream. A hook that a
class does not override is in no table and costs nothing. Requests meet filters first to last, responses last to first.

A hook that sees heads answers with an Outcome:
  None          go on
  LocalReply    answer now; the reply walks the response hooks
  awaitable     (just write `async def`) this stream waits here, its body is held and its reader paused past the
                buffer limit; other streams go on. The awaitable gives None or a LocalReply.
A data hook gives None (go on with the data) or bytes (go on with these instead). A hook on the trailers of a response
may give bytes, too: they go in front of the trailers, as the last of the body.
An exception in a hook is that filter's bug: the stream is answered with 500, other streams live.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from meshproxy.http.stream import Stream


@dataclass(slots=True)
class LocalReply:
    """An answer that does not come from an upstream. `details` is Envoy's %RESPONSE_CODE_DETAILS%."""

    status: int
    body: bytes = b""
    details: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    flag: str | None = None
    grpc_status: int | None = None
    content_type: str = "text/plain"
    close: bool = False


Outcome = None | LocalReply | Awaitable[LocalReply | None]


class HttpFilter:
    """One configured filter. `name` is set by the builder of the chain to the filter's name in the configuration."""

    name: str = ""
    # Off unless a route configures it (HttpFilter.disabled in the chain).
    disabled: bool = False
    terminal: ClassVar[bool] = False
    # A field of virtual hosts and routes that configures the filter where no typed_per_filter_config does.
    route_field: ClassVar[str] = ""

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "HttpFilter | None":
        """Once, when config arrives. `config` is a View on the typed config; None where it would have nothing to do."""
        raise TypeError(f"{cls.__name__} has no build()")

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> Any:
        """A route's own config (typed_per_filter_config), compiled; it is handed to `for_route`."""
        raise TypeError(f"{cls.__name__} takes no configuration per route")

    def for_route(self, override: Any) -> "HttpFilter | None":
        """The filter to run where a route (or virtual host, or route table) overrides; None: nothing to do there."""
        return self

    def for_levels(self, overrides: list[Any]) -> "HttpFilter | None":
        """The same with the configuration of every level that has one, the most specific first: weighted cluster,
        route, virtual host, route table. The most specific one counts; a filter that merges levels overrides this."""
        return self.for_route(overrides[0])

    def on_request_headers(self, stream: "Stream", end: bool) -> Outcome: ...
    def on_request_data(self, stream: "Stream", data: bytes, end: bool) -> bytes | None: ...
    def on_request_trailers(self, stream: "Stream") -> Outcome: ...
    def on_response_headers(self, stream: "Stream", end: bool) -> Outcome: ...
    def on_response_data(self, stream: "Stream", data: bytes, end: bool) -> bytes | None: ...
    def on_response_trailers(self, stream: "Stream") -> Outcome | bytes: ...
    def on_done(self, stream: "Stream") -> None: ...


Hook = Callable[..., Any]


class Hooks:
    """The hook tables of one chain as one route sees it. Entries are (place in the chain, bound hook)."""

    __slots__ = (
        "done",
        "request_data",
        "request_headers",
        "request_trailers",
        "response_data",
        "response_headers",
        "response_trailers",
    )

    def __init__(self, chain: list[HttpFilter | None]) -> None:
        """`chain`: the filters in order; None at the places where this route has nothing to do."""
        self.request_headers = _table(chain, "on_request_headers")
        self.request_data = _table(chain, "on_request_data")
        self.request_trailers = _table(chain, "on_request_trailers")
        self.response_headers = _table(chain, "on_response_headers")[::-1]
        self.response_data = _table(chain, "on_response_data")[::-1]
        self.response_trailers = _table(chain, "on_response_trailers")[::-1]
        self.done = _table(chain, "on_done")


def _table(chain: list[HttpFilter | None], name: str) -> tuple[tuple[int, Hook], ...]:
    base = getattr(HttpFilter, name)
    return tuple(
        (place, getattr(entry, name))
        for place, entry in enumerate(chain)
        if entry is not None and getattr(type(entry), name) is not base
    )


def owner_of(hook: Any) -> str:
    """The name of the filter that a hook belongs to, for messages."""
    owner = getattr(hook, "__self__", None)
    if owner is None:
        return str(hook.__module__)
    return getattr(owner, "name", "") or type(owner).__name__
