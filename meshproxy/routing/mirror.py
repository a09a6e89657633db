"""Copies of requests for another cluster (RouteAction.RequestMirrorPolicy): fire and forget.

A copy is a stream of its own without a client: its answer is counted, and read away. It takes the request as the route
has made it, and its body as it comes. Whatever happens to it, the request that it copies does not wait for it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.http.mutations import Mutation
from meshproxy.http.sides import ServerSide
from meshproxy.http.stream import Stream
from meshproxy.net.runtime import Fraction, Runtime
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.routing.route import Route
from meshproxy.upstream.cluster import Cluster, Clusters

if TYPE_CHECKING:
    from meshproxy.routing.attempt import Attempt
    from meshproxy.routing.forward import Forward
    from meshproxy.routing.router import Router


class MirrorPolicy:
    """Where copies go, which requests are copied, and what a copy says otherwise.

    action: one that does nothing but forward. own_address: of this machine, for x-forwarded-for. suffix: `-shadow`
    behind the host's name. host: "" for none.
    """

    __slots__ = ("clusters", "fraction", "host", "mutations", "name_of", "own_address", "route", "runtime", "suffix")

    def __init__(
        self, clusters: Clusters, name_of: Callable[[Stream], str], action: "Forward", runtime: Runtime,
        own_address: str,
    ) -> None:  # fmt: skip
        self.clusters = clusters
        self.name_of = name_of
        self.runtime = runtime
        self.own_address = own_address
        self.fraction: Fraction | None = None
        self.suffix = True
        self.host = ""
        self.mutations: tuple[Mutation, ...] = ()
        self.route = Route(action)

    def copies(self, stream: Stream) -> bool:
        return self.fraction is None or self.runtime.enabled(self.fraction, stream.random)

    def copy(self, stream: Stream) -> "Mirror | None":
        """None where there is no such cluster."""
        cluster = self.clusters.by_name.get(self.name_of(stream))
        if cluster is None:
            return None
        request = stream.request
        own = RequestHeaders(
            request.method, request.path, request.authority, [*request.pairs], {**request.index}, request.scheme
        )
        own.spelling = request.spelling
        if self.host:
            own.authority = self.host
        elif self.suffix:
            own.authority = _shadow_of(own.authority)
        for mutate in self.mutations:
            mutate(stream, own)
        own.set("x-envoy-internal", "true")
        own.append("x-forwarded-for", self.own_address)
        return Mirror(stream, own, self.route, cluster)


def _shadow_of(host: str) -> str:
    """`a.com` becomes `a.com-shadow`, `a.com:80` becomes `a.com-shadow:80`."""
    parts = [part for part in host.split(":") if part]
    return "-shadow:".join(parts) if len(parts) == 2 else f"{host}-shadow"


class Mirror(Stream):
    """The copy. It is its own server: what would be told a client goes nowhere."""

    meter = None

    def __init__(self, original: Stream, request: RequestHeaders, route: Route, cluster: Cluster) -> None:
        # Of a server it needs no more than it has.
        server = cast("ServerSide", self)
        super().__init__(original.manager, server, original.connection, request, original.manager.loop.time())
        self.route = route
        self.cluster = cluster
        self.cluster_name = cluster.name

    def begin(self, router: "Router", end: bool, queue: TimeoutQueue[Stream], timeout: float) -> None:
        """queue: that of the original's route. timeout: that of the original, in seconds; 0 for none."""
        self._queue, self._timeout = queue, timeout
        self.request_complete = end
        self.request_done_at = self.started
        attempt: Attempt = router.attempt(router, self, self.cluster, self.route.action)
        self.upstream = attempt
        attempt.start(end)
        if end:
            self._note_end()

    def send(self, data: bytes, end: bool) -> None:
        if self.upstream is not None:
            self.request_complete = end
            self.upstream.send_data(data, end)
            if end:
                self._note_end()

    def send_last(self, trailers: Headers) -> None:
        if self.upstream is not None:
            self.request_complete = True
            self.upstream.send_trailers(trailers)
            self._note_end()

    def push(self) -> None:
        if self.upstream is not None:
            self.upstream.flush()

    def cancel(self) -> None:
        """The request that it copies came to nothing, or its upstream does not keep up."""
        attempt, self.upstream = self.upstream, None
        if attempt is not None:
            attempt.abort()
        self._over()

    def _note_end(self) -> None:
        """All of the request is on its way: the time for the answer begins."""
        if self.upstream is None:
            return
        self.request_done_at = self.manager.loop.time()
        timeout, queue = self._timeout, self._queue
        if timeout:
            self.timeouts = (queue,)
            if timeout == queue.seconds:
                queue.add(self)
            else:
                queue.add_for(self, timeout)

    def _over(self) -> None:
        self.done = True
        for queue in self.timeouts:
            queue.discard(self)

    # ---- the response, from the attempt ----

    def respond_informational(self, headers: ResponseHeaders) -> None:
        """Nobody waits for it."""

    def respond(self, headers: ResponseHeaders, body: bytes) -> None:
        self._over()

    def respond_headers(self, headers: ResponseHeaders, end: bool) -> None:
        self.response = headers
        if end:
            self._over()

    def respond_data(self, data: bytes, end: bool) -> None:
        if end:
            self._over()

    def respond_trailers(self, trailers: Headers) -> None:
        self._over()

    def reply(self, reply: LocalReply) -> None:
        self.cancel()

    def reset(self, stream: Stream | None = None) -> None:
        self.cancel()

    # ---- as its own server ----

    def flush(self, stream: Stream) -> None:
        """There is nothing to write."""

    def pause_reading(self, stream: Stream) -> None:
        # Its upstream takes no more, and the request that it copies must not wait.
        self.cancel()

    def resume_reading(self, stream: Stream) -> None:
        """It is gone by then."""


class Mirrors:
    """The copies of one request, for as long as it is still coming."""

    __slots__ = ("_all",)

    def __init__(self, mirrors: Sequence[Mirror]) -> None:
        self._all = mirrors

    def begin(self, router: "Router", action: "Forward", stream: Stream, end: bool) -> None:
        """Once the original is on its way. action: the original's."""
        timeout = action.timeout if stream.asked is None else stream.asked.timeout
        for mirror in self._all:
            mirror.begin(router, end, action.queue, timeout)
        if end:
            self._all = ()

    def send(self, data: bytes, end: bool) -> None:
        for mirror in self._all:
            mirror.send(data, end)
        if end:
            self._all = ()

    def send_last(self, trailers: Headers) -> None:
        for mirror in self._all:
            mirror.send_last(trailers)
        self._all = ()

    def push(self) -> None:
        for mirror in self._all:
            mirror.push()

    def cancel(self) -> None:
        """Nothing, once they have all of the request."""
        for mirror in self._all:
            mirror.cancel()
        self._all = ()


def copies_of(stream: Stream, policies: Sequence[MirrorPolicy]) -> Mirrors:
    """Those that these policies want, yet to begin."""
    if stream.request.method == "CONNECT":
        return Mirrors(())
    copies = [policy.copy(stream) for policy in policies if policy.copies(stream)]
    return Mirrors([copy for copy in copies if copy is not None])
