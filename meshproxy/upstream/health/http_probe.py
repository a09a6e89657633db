"""Health checks by HTTP requests (HealthCheck.HttpHealthCheck), on a connection of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.net.runtime import Fraction, Runtime
from meshproxy.upstream.endpoint import EXCLUDED_VIA_IMMEDIATE_HC_FAIL, Endpoint
from meshproxy.upstream.health.connections import CheckConnections
from meshproxy.upstream.health.exchange import ExchangeProbe
from meshproxy.upstream.health.payload import contains
from meshproxy.upstream.health.session import ACTIVE, Session
from meshproxy.upstream.health.settings import HealthCheckStats
from meshproxy.upstream.host_monitor import IMMEDIATE_FAILURE

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


class HttpProbe(ExchangeProbe):
    def __init__(
        self, session: Session, connections: CheckConnections, check: HttpCheck, stats: HealthCheckStats
    ) -> None:  # fmt: skip
        super().__init__(session, connections, check.reuse)
        self._check = check
        self._stats = stats
        self._response: ResponseHeaders | None = None
        self._received = b""

    def request(self) -> RequestHeaders:
        check = self._check
        self._response, self._received = None, b""
        checking = self.endpoint.checking
        host = (checking.hostname if checking is not None else "") or check.host
        request = RequestHeaders(check.method, check.path, host, [("user-agent", "Envoy/HC")], scheme=self.scheme)
        if check.edit is not None:
            check.edit(self.endpoint, request)
        if check.send:
            request.set("content-length", str(len(check.send)))
        return request

    def body(self) -> bytes:
        return self._check.send

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        self._response = headers
        if end:
            self._finish()

    def on_data(self, data: bytes, end: bool) -> None:
        check = self._check
        if check.receive:
            left = check.buffer_size - len(self._received) if check.buffer_size else len(data)
            self._received += data[: max(left, 0)]
        if end:
            self._finish()

    def on_trailers(self, trailers: Headers) -> None:
        self._finish()

    # ---- the verdict ----

    def _finish(self) -> None:
        headers, check = self._response, self._check
        assert headers is not None
        self.over()
        status = headers.status
        if not contains(self._received, check.receive):
            self._note_exclusion(headers)
            self.session.failed(ACTIVE, status=status)
        elif not _is_in(status, check.expected):
            self._note_exclusion(headers)
            self.session.failed(ACTIVE, _is_in(status, check.retriable), status)
        elif not self._is_right_service(headers):
            self.session.failed(ACTIVE, status=status)
        else:
            self.session.succeeded(_DEGRADED in headers.index)

    def _is_right_service(self, headers: ResponseHeaders) -> bool:
        matches = self._check.service
        if matches is None or not self._check.runtime.enabled(_VERIFY):
            return True
        self._stats.verify_cluster += 1
        return matches(headers.index.get(_SERVED_BY, ""))

    def _note_exclusion(self, headers: ResponseHeaders) -> None:
        if IMMEDIATE_FAILURE in headers.index:
            self.session.flags.flag(EXCLUDED_VIA_IMMEDIATE_HC_FAIL)


def _is_in(status: int, ranges: tuple[Range, ...]) -> bool:
    return any(first <= status < end for first, end in ranges)
