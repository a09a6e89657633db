"""One try that the router's own log has entries for (Router.upstream_log): when it began, as it goes on, at its end."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshproxy.http.failures import Failure
from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.http.meter import Meter
from meshproxy.http.stream import Stream
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.routing.attempt import Attempt
from meshproxy.routing.attended_attempt import AttendedAttempt
from meshproxy.routing.judged_attempt import JudgedAttempt
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.sides import UpstreamStream

if TYPE_CHECKING:
    from meshproxy.routing.forward import Forward
    from meshproxy.routing.router import Router


class UpstreamLog:
    """What a router logs of its tries. interval: seconds between entries of one that lasts; 0 for none."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, log: Callable[["UpstreamRecord"], None], on_start: bool, interval: float
    ) -> None:
        self.log = log
        self.on_start = on_start
        self.intervals = TimeoutQueue[LoggedAttempt](loop, interval, LoggedAttempt.log_again) if interval else None


class UpstreamRecord:
    """An exchange as its upstream sees it: the attributes of the stream, but for what belongs to the one try."""

    # Of the stream, and not of a try.
    details = ""
    attempts = 0
    earlier_endpoints = ()
    route_look_ups = 0
    route_time = None
    stream_id = None
    request_done_at = 0.0
    local_reply_body = ""
    faces_client = False
    # An entry is about what is over until now.
    done = True

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.log_type = ""
        self.flags: tuple[str, ...] = ()
        self.started = self.last_activity = stream.manager.loop.time()
        self.start_time = time.time()
        self.response: ResponseHeaders | None = None
        self.response_trailers: Headers | None = None
        self.response_started_at = 0.0
        self.response_complete = False
        # From the upstream, and to it.
        self.bytes_received = 0
        self.bytes_sent = 0
        self._meter: Meter | None = None

    @property
    def protocol(self) -> str | None:
        """The client's, as soon as there is somebody to pass it on to."""
        return self._stream.protocol if self._stream.upstream_connection is not None else None

    @property
    def meter(self) -> Meter | None:
        return self._meter or (self._stream.meter if self._stream.upstream_connection is not None else None)

    @property
    def request_sent_at(self) -> float:
        return 0.0 if self.log_type == "UpstreamPoolReady" else self._stream.request_done_at

    def keep_meter(self) -> None:
        """The stream is about to give it up."""
        self._meter = self.meter

    def __getattr__(self, name: str) -> Any:
        """What the try has in common with its stream: the request, the client, the route, the connections."""
        return getattr(self._stream, name)


class LoggedAttempt(Attempt):
    """Tells its record what passes."""

    __slots__ = ()

    def __init__(self, router: "Router", stream: Stream, cluster: Cluster, action: "Forward") -> None:
        super().__init__(router, stream, cluster, action)
        assert router.upstream_log is not None
        self._log: UpstreamLog = router.upstream_log
        self._record = UpstreamRecord(stream)
        self._ended_once = False
        if self._log.intervals is not None:
            self._log.intervals.add(self)

    # ---- towards the upstream ----

    def _send(self, client: UpstreamStream) -> None:
        if self._log.on_start and not self._ended_once:
            self.stream.upstream_connection = client.connection
            self._write("UpstreamPoolReady")
        super()._send(client)

    def send_data(self, data: bytes, end: bool) -> None:
        if self.client is not None and self._held is None:
            self._record.bytes_sent += len(data)
        super().send_data(data, end)

    def abort(self) -> None:
        # Behind the entry of the stream, which ends for reasons of its own.
        self._record.keep_meter()
        asyncio.get_running_loop().call_soon(self._log_end)
        super().abort()

    # ---- from the upstream ----

    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        self._keep_response(headers, body)
        self._log_end(complete=True)
        super().on_response(headers, body)

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        self._keep_response(headers, b"")
        if end:
            self._log_end(complete=True)
        super().on_headers(headers, end)

    def on_data(self, data: bytes, end: bool) -> None:
        self._record.bytes_received += len(data)
        if end:
            self._log_end(complete=True)
        super().on_data(data, end)

    def on_trailers(self, trailers: Headers) -> None:
        self._record.response_trailers = trailers
        self._log_end(complete=True)
        super().on_trailers(trailers)

    def on_reset(self, failure: Failure, reason: str) -> None:
        if self.client is None:
            self._note_wait()
        self.stream.upstream_failure = reason
        self._record.flags = (failure.flag,)
        self._log_end()
        super().on_reset(failure, reason)

    def on_timeout(self, reply: LocalReply) -> None:
        self._log_end()
        super().on_timeout(reply)

    # ---- the entries ----

    def _keep_response(self, headers: ResponseHeaders, body: bytes) -> None:
        """As it came: the stream will add to it."""
        record = self._record
        record.response = ResponseHeaders(headers.status, [*headers.pairs])
        record.response_started_at = self.stream.manager.loop.time()
        record.bytes_received += len(body)

    def log_again(self) -> float:
        """upstream_log_flush_interval."""
        self._write("UpstreamPeriodic")
        return self._log.intervals.seconds if self._log.intervals is not None else 0.0

    def _log_end(self, complete: bool = False) -> None:
        if self._ended_once:
            return
        self._ended_once = True
        if self._log.intervals is not None:
            self._log.intervals.discard(self)
        self._record.response_complete = complete
        self._write("UpstreamEnd")

    def _write(self, kind: str) -> None:
        record = self._record
        record.log_type = kind
        record.last_activity = self.stream.manager.loop.time()
        self._log.log(record)


class LoggedJudgedAttempt(LoggedAttempt, JudgedAttempt):
    """One entry for each of several tries."""

    __slots__ = ()


class LoggedAttendedAttempt(LoggedAttempt, AttendedAttempt):
    """The same for tries with times of their own."""

    __slots__ = ()

    def _time_out(self, details: str) -> None:
        self._record.flags = ("SI" if details == "upstream_per_try_idle_timeout" else "UT",)
        self._log_end()
        super()._time_out(details)
