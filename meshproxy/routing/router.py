"""The router: the terminal HTTP filter (envoy.extensions.filters.http.router.v3.Router)."""

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers
from meshproxy.http.stream import Stream
from meshproxy.routing.attempt import Attempt
from meshproxy.routing.attended_attempt import AttendedAttempt
from meshproxy.routing.judged_attempt import JudgedAttempt
from meshproxy.routing.logged_attempt import (
    LoggedAttempt,
    LoggedAttendedAttempt,
    LoggedJudgedAttempt,
    UpstreamLog,
)
from meshproxy.routing.strict_headers import first_invalid


class Router:
    """Hands each stream to its route's action, and what follows to the attempt that the action made.

    `stream.upstream` is that attempt: None before, and after the response ended or was given up.
    """

    __slots__ = (
        "attempt", "attended", "dynamic_stats", "judged", "respect_expected_rq_timeout", "strict_headers",
        "suppress_envoy_headers", "upstream_log",
    )  # fmt: skip

    def __init__(self, suppress_envoy_headers: bool = False) -> None:
        self.suppress_envoy_headers = suppress_envoy_headers
        # x-envoy-expected-rq-timeout-ms of the proxy before us is the timeout of the request.
        self.respect_expected_rq_timeout = False
        self.dynamic_stats = True
        # x-envoy headers of requests that are refused unless they can be understood.
        self.strict_headers: tuple[str, ...] = ()
        # What its tries are, those that may be made again, and what is logged of them.
        self.attempt: type[Attempt] = Attempt
        self.judged: type[JudgedAttempt] = JudgedAttempt
        self.attended: type[AttendedAttempt] = AttendedAttempt
        self.upstream_log: UpstreamLog | None = None

    def log_tries(self, log: UpstreamLog) -> None:
        self.upstream_log = log
        self.attempt = LoggedAttempt
        self.judged = LoggedJudgedAttempt
        self.attended = LoggedAttendedAttempt

    def start(self, stream: Stream, end: bool) -> None:
        route = stream.route
        stream.manager.stats.rq_total += 1
        if route is None:
            stream.manager.stats.no_route += 1
            stream.reply(LocalReply(404, b"", "route_not_found", flag="NR"))
        else:
            route.action.start(self, stream, end)

    def refuses(self, stream: Stream) -> bool:
        """Answers a request with an x-envoy header that makes no sense, where that is asked for."""
        name = first_invalid(stream.request, self.strict_headers)
        if name is None:
            return False
        body = f"invalid header '{name}' with value '{stream.request.get(name)}'".encode("latin-1")
        stream.reply(LocalReply(400, body, f"request_headers_failed_strict_check{{{name}}}", flag="IH"))
        return True

    def send_data(self, stream: Stream, data: bytes, end: bool) -> None:
        attempt = stream.upstream
        if attempt is not None:
            attempt.send_data(data, end)
            if end and stream.upstream is not None:
                attempt.action.request_ended(stream)

    def send_trailers(self, stream: Stream, trailers: Headers) -> None:
        attempt = stream.upstream
        if attempt is not None:
            attempt.send_trailers(trailers)
            if stream.upstream is not None:
                attempt.action.request_ended(stream)

    def flush(self, stream: Stream) -> None:
        if stream.upstream is not None:
            stream.upstream.flush()

    def abort(self, stream: Stream) -> None:
        attempt, stream.upstream = stream.upstream, None
        if attempt is not None:
            attempt.abort()

    def pause_reading(self, stream: Stream) -> None:
        if stream.upstream is not None:
            stream.upstream.pause_reading()

    def resume_reading(self, stream: Stream) -> None:
        if stream.upstream is not None:
            stream.upstream.resume_reading()
