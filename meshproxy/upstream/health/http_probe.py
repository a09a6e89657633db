"""Health checks by HTTP requests (HealthCheck.HttpHealthCheck), on a connection of their own."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from meshproxy.http.failures import PROTOCOL_ERROR, Failure
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.net.dial import DialError, dial
from meshproxy.net.runtime import Fraction, Runtime
from meshproxy.net.tasks import start_task
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import EXCLUDED_VIA_IMMEDIATE_HC_FAIL, Endpoint
from meshproxy.upstream.health.payload import contains
from meshproxy.upstream.health.session import ACTIVE, NETWORK, Session
from meshproxy.upstream.health.settings import HealthCheckStats
from meshproxy.upstream.host_monitor import IMMEDIATE_FAILURE
from meshproxy.upstream.http1_client import Http1Client

_VERIFY = Fraction(100, 100, "health_check.verify_cluster")
_SERVED_BY = "x-envoy-upstream-healthchecked-cluster"
_DEGRADED = "x-envoy-degraded"

# Statuses from the first to before the second.
Range = tuple[int, int]


@dataclass(slots=True)
class HttpCheck:
    """host: for endpoints that have no name of their own for checks. edit: what is added to and removed from the
    request. receive: what the body has to contain, of which buffer_size bytes are looked at (0: all). service: whether
    the service that answered is the right one."""

    path: str
    host: str
    method: str = "GET"
    send: bytes = b""
    receive: Sequence[bytes] = ()
    buffer_size: int = 1024
    expected: tuple[Range, ...] = ((200, 201),)
    retriable: tuple[Range, ...] = ()
    service: Callable[[str], bool] | None = None
    edit: Callable[[Endpoint, RequestHeaders], None] | None = None
    reuse: bool = True
    runtime: Runtime = field(default_factory=Runtime)


class _Uncounted:
    """In the place of a cluster's stats: checks are no traffic."""

    def __getattr__(self, name: str) -> int:
        return 0


class HttpProbe:
    """For its connection it is the pool, and the exchange that is on."""

    def __init__(self, session: Session, cluster: Cluster, check: HttpCheck, stats: HealthCheckStats) -> None:
        self._session = session
        self._endpoint = session.endpoint
        self._of = cluster
        self._check = check
        self._health_stats = stats
        self._client: Http1Client | None = None
        self._dial: asyncio.Task[Any] | None = None
        self._response: ResponseHeaders | None = None
        self._body = b""
        # What a connection asks of its pool, and of its exchange.
        self.settings = cluster.pool_settings
        self.stats: Any = _Uncounted()
        self.cluster = self
        self.stream: Any = None

    # ---- as a probe ----

    def begin(self) -> None:
        self._response, self._body = None, b""
        client = self._client
        if client is not None and not client.closing:
            self._send(client)
        else:
            self._dial = start_task(self._connect(), f"health check of {self._endpoint.address_text}")

    def timed_out(self) -> None:
        self._end()

    def close(self) -> None:
        self._end()

    def _end(self) -> None:
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        client, self._client = self._client, None
        if client is not None:
            client.abandon()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        pool: Any = self
        try:
            await dial(loop, lambda: Http1Client(pool), self._endpoint.check_address, 0, self._of.socket_options)
        except DialError:
            self._dial = None
            self._session.failed(NETWORK)

    def _send(self, client: Http1Client) -> None:
        check = self._check
        checking = self._endpoint.checking
        host = (checking.hostname if checking is not None else "") or check.host
        request = RequestHeaders(check.method, check.path, host, [("user-agent", "Envoy/HC")])
        if check.edit is not None:
            check.edit(self._endpoint, request)
        if check.send:
            request.set("content-length", str(len(check.send)))
            client.send_headers(self, request, False)
            client.send_data(check.send, True)
        else:
            client.send_headers(self, request, True)

    # ---- as a pool ----

    def connected(self, client: Http1Client) -> None:
        self._dial = None
        self._client = client
        self._send(client)

    def release(self, client: Http1Client) -> None:
        if not self._check.reuse:
            client.close()

    def lost(self, client: Http1Client, busy: bool, local: bool) -> None:
        if self._client is client:
            self._client = None

    # ---- as an exchange ----

    def on_informational(self, headers: ResponseHeaders) -> None: ...
    def on_read(self) -> None: ...
    def on_write_paused(self) -> None: ...
    def on_write_resumed(self) -> None: ...

    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        self._response = headers
        self.on_data(body, True)

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        self._response = headers
        if end:
            self._finish()

    def on_data(self, data: bytes, end: bool) -> None:
        check = self._check
        if check.receive:
            left = check.buffer_size - len(self._body) if check.buffer_size else len(data)
            self._body += data[: max(left, 0)]
        if end:
            self._finish()

    def on_trailers(self, trailers: Headers) -> None:
        self._finish()

    def on_reset(self, failure: Failure, reason: str) -> None:
        if failure is PROTOCOL_ERROR:
            self._of.stats.upstream_cx_protocol_error += 1
        self._session.failed(NETWORK)

    # ---- the verdict ----

    def _finish(self) -> None:
        headers, check = self._response, self._check
        assert headers is not None
        status = headers.status
        if not contains(self._body, check.receive):
            self._note_exclusion(headers)
            self._session.failed(ACTIVE, status=status)
        elif not _is_in(status, check.expected):
            self._note_exclusion(headers)
            self._session.failed(ACTIVE, _is_in(status, check.retriable), status)
        elif not self._is_right_service(headers):
            self._session.failed(ACTIVE, status=status)
        else:
            self._session.succeeded(_DEGRADED in headers.index)

    def _is_right_service(self, headers: ResponseHeaders) -> bool:
        matches = self._check.service
        if matches is None or not self._check.runtime.enabled(_VERIFY):
            return True
        self._health_stats.verify_cluster += 1
        return matches(headers.index.get(_SERVED_BY, ""))

    def _note_exclusion(self, headers: ResponseHeaders) -> None:
        if IMMEDIATE_FAILURE in headers.index:
            self._session.flags.flag(EXCLUDED_VIA_IMMEDIATE_HC_FAIL)


def _is_in(status: int, ranges: tuple[Range, ...]) -> bool:
    return any(first <= status < end for first, end in ranges)
