"""What an HTTP manager does against overload."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshproxy.downstream.http_stats import HttpStats
from meshproxy.downstream.response_steps import ResponseStep
from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import ResponseHeaders
from meshproxy.http.request_steps import Step
from meshproxy.http.stream import NO_HOOKS, Stream

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager


def refuse_requests(strikes: Callable[[], bool], stats: HttpStats, tell: bool) -> Step:
    """stop_accepting_requests: filters would cost memory, so they are left out. tell: append_local_overload."""

    def step(stream: Stream) -> LocalReply | None:
        if not strikes():
            return None
        stats.downstream_rq_overload_close += 1
        stream.hooks = NO_HOOKS
        headers = [("x-envoy-local-overloaded", "true")] if tell else []
        return LocalReply(503, b"envoy overloaded", "overload", headers)

    return step


def end_connections(strikes: Callable[[], bool], manager: "HttpManager") -> ResponseStep:
    """disable_http_keepalive: with its response a connection begins to drain."""

    def step(stream: Stream, headers: ResponseHeaders) -> None:
        server: Any = stream.server.carrier
        if server.leaving or not strikes():
            return
        stats = manager.stats
        stats.downstream_cx_overload_disable_keepalive += 1
        stats.downstream_cx_drain_close += 1
        manager.time.drain(server)

    return step
