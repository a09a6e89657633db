"""One exchange: both heads, the route, the hooks, timings, counts and flags, and where it is paused.

A codec gives a stream the request (`receive_*`), the terminal filter gives it the response (`respond_*`); between the
two both walk the hooks of the route (`request_walk`, `response_walk`). Everything happens inside the event that brought
the bytes: no task, no Future, no timer, unless a hook asked to wait.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from meshproxy.http import request_walk, response_walk
from meshproxy.http.filter import Hooks, LocalReply, owner_of
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.http.hold import Hold
from meshproxy.http.pace import Pace
from meshproxy.http.sides import Manager, ServerSide
from meshproxy.net.randomness import source

if TYPE_CHECKING:
    from meshproxy.http.meter import Meter
    from meshproxy.net.connection import Connection
    from meshproxy.net.timeouts import TimeoutQueue

_log = logging.getLogger("http")
_getrandbits = source("streams").getrandbits

NO_HOOKS = Hooks([])


class Stream:
    """One HTTP exchange. Filters read and write `request`, `response`, `metadata` and `filter_state`."""

    # What every exchange sets has a slot. What few set is a default of the class until it is set: making a stream
    # costs 0.8 µs less than with a slot for each.
    __slots__ = (
        "__dict__", "bytes_received", "bytes_sent", "cluster", "cluster_name", "connection", "details", "done",
        "endpoint", "hooks", "last_activity", "manager", "request", "request_complete", "request_done_at",
        "request_hold", "response", "response_complete", "response_hold", "response_started_at", "route", "server",
        "start_time", "started", "terminal_started", "timeouts", "upstream", "upstream_connection", "virtual_host",
    )  # fmt: skip

    # Who the client is, where proxies in front have told; and whether it is one of us (x-envoy-internal).
    told_peer: tuple[str, int] | None = None
    internal = False
    request_trailers: Headers | None = None
    response_trailers: Headers | None = None
    # What the request's own headers ask of the router (routing.asked.Asked); None where they ask nothing.
    asked: Any = None
    # Counted beside the cluster: the stats of the virtual cluster and of the route.
    extra_stats: tuple[Any, ...] = ()
    virtual_cluster: str | None = None
    attempts = 0
    # Seconds that the attempt waited for its connection, where it had to.
    pool_wait: float | None = None
    # Endpoints that attempts before the last one chose.
    earlier_endpoints: tuple[Any, ...] = ()
    # What went over the connection to the upstream, where that is counted.
    upstream_meter: "Meter | None" = None
    # Internal redirects that led to this stream (routing.internal_redirects.Followed).
    followed: Any = None
    # How often the route was looked up again (clear_route), and how many microseconds all look-ups took if measured.
    route_refreshes = 0
    route_time: int | None = None
    # When the terminal filter got a request for which a filter made it wait.
    terminal_started_at = 0.0
    # What is logged is the exchange with the client, and not one with an upstream.
    faces_client = True
    # %ACCESS_LOG_TYPE%: which moment is logged (envoy.data.accesslog.v3.AccessLogType).
    log_type = "DownstreamEnd"
    upstream_failure = ""
    # %CONNECTION_TERMINATION_DETAILS%
    downstream_failure = ""
    flags: tuple[str, ...] = ()
    metadata: dict[str, dict[str, Any]] | None = None
    filter_state: dict[str, Any] | None = None
    # What slows its response down.
    pace: Pace | None = None
    # A health check, as the health_check filter has found: such are counted as Envoy counts them, or not at all.
    health_check = False
    # The codec must not serve another request on this connection.
    close_after = False
    # %PROTOCOL%
    protocol = "HTTP/1.1"
    # An upgrade or CONNECT that the manager let pass.
    upgraded = False
    # The target of a CONNECT whose authority was changed for the routes (strip_any_host_port).
    connect_authority = ""
    # %LOCAL_REPLY_BODY%
    local_reply_body = ""
    route_cleared = False
    # Answers of ours to a gRPC request are gRPC; False where a filter made gRPC of something else.
    replies_as_grpc = True
    _kept: dict[object, Any] | None = None

    def __init__(
        self, manager: Manager, server: ServerSide, connection: "Connection", request: RequestHeaders, now: float
    ) -> None:
        self.manager = manager
        self.server = server
        self.connection = connection
        self.request = request
        self.response: ResponseHeaders | None = None
        self.hooks = NO_HOOKS
        # The terminal filter's state for this stream: the router keeps its attempts here.
        self.upstream: Any = None
        # Queues in which this stream waits to expire.
        self.timeouts: tuple[TimeoutQueue[Stream] | Pace, ...] = ()
        # What the logs say of route and upstream: these outlive the attempt.
        self.route: Any = None
        self.virtual_host: Any = None
        self.cluster: Any = None
        self.cluster_name: str | None = None
        self.endpoint: Any = None
        # An UpstreamConnection (upstream.sides): `id`, `local`, `protocol`, and when it was dialled and connected.
        self.upstream_connection: Any = None
        self.details = ""
        # Loop time in seconds; start_time is the wall clock.
        self.started = self.last_activity = now
        self.start_time = time.time()
        self.request_done_at = self.response_started_at = 0.0
        self.bytes_received = self.bytes_sent = 0
        self.request_hold: Hold | None = None
        self.response_hold: Hold | None = None
        self.request_complete = self.response_complete = self.terminal_started = self.done = False

    @property
    def peer(self) -> tuple[str, int]:
        """Who the client is: whom trusted proxies named, else the peer of the connection."""
        return self.told_peer or self.connection.peer

    @peer.setter
    def peer(self, address: tuple[str, int]) -> None:
        self.told_peer = address

    def lb_metadata(self) -> Mapping[str, Any]:
        """What endpoints must have, for balancers that have subsets; what filters ask for goes before the route."""
        asked: Mapping[str, Any] = self.route.action.metadata_match
        own = self.metadata.get("envoy.lb") if self.metadata is not None else None
        return asked if own is None else {**asked, **own}

    def edit_response(self, edit: Callable[["Stream", ResponseHeaders], None]) -> None:
        """An edit of this response alone, before those of its route; few ask for any."""
        route = self.route = copy(self.route)
        route.response_edits = (edit, *route.response_edits)

    def hash_key(self) -> int | None:
        """What its route hashes of it, for balancers that pick by hash."""
        policy = self.route.action.hash_policy
        number: int | None = None if policy is None else policy(self)
        return number

    @property
    def meter(self) -> "Meter | None":
        """What went over the client's connection, where that is counted."""
        return self.server.meter

    @property
    def request_sent_at(self) -> float:
        """When its last byte went to the upstream: at once when it came, unless it had to wait."""
        return self.request_done_at

    @property
    def stream_id(self) -> str | None:
        """%STREAM_ID%"""
        return self.request.get("x-request-id")

    @property
    def route_look_ups(self) -> int:
        """How often a route was looked for; never for a head that could not be read."""
        return 1 + self.route_refreshes if self.request.method else 0

    # ---- the request, from the codec ----

    def receive_headers(self, end: bool) -> None:
        """The head is complete and the manager has prepared it and found the route."""
        if end:
            self.request_complete = True
            self.request_done_at = self.last_activity
        if self.hooks.request_headers and not request_walk.walk_headers(self, -1, end):
            return
        self.terminal_started = True
        self.manager.terminal.start(self, end)

    def receive_data(self, data: bytes, end: bool) -> None:
        """Body bytes. `end`: these are the last, and no trailers follow."""
        self.bytes_received += len(data)
        if end:
            self.request_complete = True
            self.request_done_at = self.last_activity
        if self.response_complete:
            return
        if self.request_hold is not None:
            request_walk.hold_data(self, self.request_hold, data, end)
            return
        request_walk.pass_data(self, data, end)

    def receive_trailers(self, trailers: Headers) -> None:
        self.request_complete = True
        self.request_done_at = self.last_activity
        self.request_trailers = trailers
        if self.response_complete:
            return
        hold = self.request_hold
        if hold is not None:
            hold.trailers = trailers
            request_walk.hold_data(self, hold, b"", True)
            return
        request_walk.pass_trailers(self, trailers)

    def receive_reset(self, flag: str, details: str) -> None:
        """The client is gone, or broke the protocol, before the exchange was over."""
        if self.done:
            return
        if flag:
            self.add_flag(flag)
        if not self.details or self.response is not None:
            self.details = details
        self.abort_terminal()
        self.finish()

    # ---- the response, from the terminal filter ----

    def respond_informational(self, headers: ResponseHeaders) -> None:
        """A 1xx that is not 101 (100-continue with proxy_100_continue, 103)."""
        if self.response is None and not self.done:
            self.manager.count(headers.status)
            self.server.send_informational(self, headers)

    def respond(self, headers: ResponseHeaders, body: bytes) -> None:
        """A whole response at once, as most are: the same as the two calls below, for less."""
        if self.hooks.response_headers or self.hooks.response_data:
            self.respond_headers(headers, not body)
            if body:
                self.respond_data(body, True)
            return
        self.response = headers
        self.bytes_sent = len(body)
        self.manager.prepare_response(self, headers)
        self.server.send_response(self, headers, body)
        self.response_ended()

    def respond_headers(self, headers: ResponseHeaders, end: bool) -> None:
        self.response = headers
        if self.hooks.response_headers and not response_walk.walk_headers(self, -1, end):
            return
        self.send_response_headers(end)

    def respond_data(self, data: bytes, end: bool) -> None:
        if self.done:
            return
        hold = self.response_hold
        if hold is not None:
            response_walk.hold_data(self, hold, data, end)
            return
        response_walk.pass_data(self, data, end)

    def respond_trailers(self, trailers: Headers) -> None:
        if self.done:
            return
        self.response_trailers = trailers
        hold = self.response_hold
        if hold is not None:
            hold.trailers = trailers
            response_walk.hold_data(self, hold, b"", True)
            return
        response_walk.pass_trailers(self, trailers)

    def reply(self, reply: LocalReply) -> None:
        """Answers from here. A response that has begun is cut instead: the client must not take it for whole."""
        if self.done or self.response_complete:
            return
        if reply.flag is not None:
            self.add_flag(reply.flag)
        self.abort_terminal()
        if self.response is not None and self.response_hold is None:
            self.details = reply.details
            self.reset()
            return
        self.details = reply.details
        self.drop_holds()
        if reply.close:
            self.close_after = True
        headers, body = self.manager.prepare_local_reply(self, reply)
        if self.request.method == "HEAD":
            body = b""
        self.response = headers
        if self.hooks.response_headers and not response_walk.walk_headers(self, -1, not body, body):
            return
        self.send_response_headers(not body)
        if body:
            response_walk.pass_data(self, body, True)

    def reset(self) -> None:
        """Cuts the exchange towards the client."""
        if not self.done:
            self.manager.stats.downstream_rq_tx_reset += 1
            self.abort_terminal()
            self.server.reset(self)
            self.finish()

    def add_flag(self, flag: str) -> None:
        """Adds one of Envoy's response flags (short form); they print in the order in which they were set."""
        if flag not in self.flags:
            self.flags = (*self.flags, flag)

    def finish(self) -> None:
        """Both sides are over: counters, logs, done hooks, once."""
        if self.done:
            return
        self.done = True
        for queue in self.timeouts:
            queue.discard(self)
        if self.request_hold is not None or self.response_hold is not None:
            self.drop_holds()
        for _, hook in self.hooks.done:
            try:
                hook(self)
            except Exception:
                _log.exception("filter %s failed in on_done", owner_of(hook))
        self.manager.finish(self)

    def find_cluster(self) -> Any:
        """The cluster that it goes to; before the router has it, the one that its route says. None: none."""
        route = self.route
        if self.cluster is None and route is not None and route.action.forwards:
            return route.action.find_cluster(self)
        return self.cluster

    def clear_route(self) -> None:
        """For filters that changed what routes match on: the route is looked up again before the next filter."""
        self.route_cleared = True

    def set_metadata(self, namespace: str, key: str, value: Any) -> None:
        """Dynamic metadata, as %DYNAMIC_METADATA(namespace:key)% and metadata matchers read it."""
        if self.metadata is None:
            self.metadata = {}
        self.metadata.setdefault(namespace, {})[key] = value

    def set_state(self, key: str, value: Any) -> None:
        """Filter state, as %FILTER_STATE(key)% reads it."""
        if self.filter_state is None:
            self.filter_state = {}
        self.filter_state[key] = value

    def keep(self, owner: object, value: Any) -> None:
        """Remembers what one filter (`owner`) wants to know again later in this exchange."""
        if self._kept is None:
            self._kept = {}
        self._kept[owner] = value

    def kept(self, owner: object) -> Any:
        """What `owner` has kept; None where it has not."""
        return None if self._kept is None else self._kept.get(owner)

    @property
    def random(self) -> int:
        """64 random bits that are the same whenever this exchange is asked: its route stays what was drawn once."""
        number: int | None = self.kept("random")
        if number is None:
            number = _getrandbits(64)
            self.keep("random", number)
        return number

    # ---- waiting ----

    async def read_request(self, limit: int | None = None) -> bytes:
        """The whole request body, for an `async` request hook. Past `limit` bytes the client gets 413."""
        hold = self.request_hold
        if hold is None:
            raise RuntimeError("read_request is for an async request hook")
        if limit is not None:
            hold.limit = limit
        hold.waiter = asyncio.get_running_loop().create_future()
        if hold.size > hold.limit:
            request_walk.refuse_body(self, hold)
        elif hold.ended or self.request_complete:
            return b"".join(hold.chunks)
        if hold.full:
            self.server.resume_reading(self)
            hold.full = False
        await hold.waiter
        return b"".join(hold.chunks)

    async def read_response(self, limit: int) -> bytes:
        """The response body, for an `async` response hook; once there are `limit` bytes no more is waited for."""
        hold = self.response_hold
        if hold is None:
            raise RuntimeError("read_response is for an async response hook")
        if not hold.ended and hold.size < limit:
            hold.limit = limit
            hold.waiter = asyncio.get_running_loop().create_future()
            await hold.waiter
        return b"".join(hold.chunks)

    def drop_response_body(self) -> None:
        """For the same: the response ends with its head, whatever there is of a body and of trailers."""
        hold = self.response_hold
        if hold is None:
            raise RuntimeError("drop_response_body is for an async response hook")
        if not hold.ended:
            self.abort_terminal()
        hold.chunks, hold.trailers, hold.ended, hold.full = [b""], None, True, False

    # ---- for the walks ----

    def find_route_again(self) -> None:
        self.route_cleared = False
        self.route_refreshes += 1
        self.manager.find_route(self)

    def drop_holds(self) -> None:
        for hold in (self.request_hold, self.response_hold):
            if hold is not None:
                hold.drop()
        self.request_hold = self.response_hold = None

    def send_response_headers(self, end: bool) -> None:
        headers = self.response
        assert headers is not None
        self.manager.prepare_response(self, headers)
        self.server.send_headers(self, headers, end)
        if end:
            self.response_ended()

    def limit_response(self, rate: int) -> None:
        """The body of the response, whose head a hook sees now, goes on with so many KiB per second."""
        self.pace = Pace(self, rate)
        self.timeouts = (*self.timeouts, self.pace)

    def send_response_data(self, data: bytes, end: bool) -> None:
        if self.pace is None:
            self.emit_response_data(data, end)
        else:
            self.pace.take_data(data, end)

    def send_response_trailers(self, trailers: Headers) -> None:
        if self.pace is None:
            self.emit_response_trailers(trailers)
        else:
            self.pace.take_trailers(trailers)

    def emit_response_trailers(self, trailers: Headers) -> None:
        self.server.send_trailers(self, trailers)
        self.response_ended()

    def emit_response_data(self, data: bytes, end: bool) -> None:
        self.bytes_sent += len(data)
        self.server.send_data(self, data, end)
        if end:
            self.response_ended()

    def response_ended(self) -> None:
        self.response_complete = True
        if not self.request_complete:
            self.abort_terminal()
        self.finish()

    def abort_terminal(self) -> None:
        if self.terminal_started:
            self.manager.terminal.abort(self)

    def hook_failed(self, hook: Any) -> None:
        name = owner_of(hook)
        _log.exception("filter %s failed", name)
        if self.response is not None:
            self.hooks = NO_HOOKS
        self.reply(LocalReply(500, b"", f"filter_failed{{{name}}}"))
