"""The action that sends clients elsewhere (envoy.config.route.v3.RedirectAction)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import RequestHeaders
from meshproxy.http.stream import Stream
from meshproxy.routing.rewrites import PathRewrite

if TYPE_CHECKING:
    from meshproxy.routing.router import Router

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Redirect:
    """Empty text and None leave that part of the URL as the request has it. `port`: with its colon.

    `path` (text, or a function that makes it) replaces the whole path, and the query too where it brings its own;
    `rewrite` changes a part of the path.
    """

    forwards: ClassVar[bool] = False
    __slots__ = ("host", "path", "port", "rewrite", "scheme", "status", "strip_query")

    def __init__(
        self,
        status: int = 301,
        *,
        scheme: str = "",
        host: str = "",
        port: str = "",
        path: str | Callable[[Stream], str] = "",
        rewrite: PathRewrite | None = None,
        strip_query: bool = False,
    ) -> None:
        self.status = status
        self.scheme = scheme
        self.host = host
        self.port = port
        self.path = path
        self.rewrite = rewrite
        self.strip_query = strip_query

    def start(self, router: "Router", stream: Stream, end: bool) -> None:
        stream.manager.stats.rq_direct_response += 1
        if self.rewrite is not None:
            self.rewrite(stream, not router.suppress_envoy_headers)
        location = [("location", self.location(stream))] if stream.request.path else []
        stream.reply(LocalReply(self.status, b"", "direct_response", headers=location))

    def location(self, stream: Stream) -> str:
        """The URL to go to."""
        request = stream.request
        path = self.path if isinstance(self.path, str) else self.path(stream)
        scheme = self.scheme or request.scheme
        host = self.host or self._host_of(request, scheme)
        if "?" not in path:
            head, question, query = request.path.partition("?")
            path = path or head
            if not self.strip_query:
                path += question + query
        return f"{scheme}://{host}{self.port}{path}"

    def _host_of(self, request: RequestHeaders, scheme: str) -> str:
        """The request's host; without its port where another one is configured, or where the port only said the old
        scheme."""
        host = request.authority
        colon = host.rfind(":")
        if colon < 0 or (host[0] == "[" and colon < host.rfind("]")):
            return host
        came_by = request.get("x-forwarded-proto") or ""
        if self.port or (scheme != came_by and host[colon:] == _DEFAULT_PORTS.get(came_by)):
            return host[:colon]
        return host


# Leads where the request came from: Envoy adds that to direct responses whose status calls for a location.
TO_ITSELF = Redirect()
