"""Health checks by gRPC's own health service (HealthCheck.GrpcHealthCheck): grpc.health.v1.Health/Check."""

from collections.abc import Callable
from dataclasses import dataclass

from meshproxy.http.grpc import is_grpc
from meshproxy.http.grpc_messages import MessageReader, MessageTooLong, frame_message
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.health.connections import CheckConnections
from meshproxy.upstream.health.exchange import ExchangeProbe
from meshproxy.upstream.health.session import ACTIVE, Session

_PATH = "/grpc.health.v1.Health/Check"
# HealthCheckResponse.ServingStatus, in the field 1.
_SERVING = 1
# The most that a message may have: it has one number.
_LIMIT = 1024


@dataclass(slots=True)
class GrpcCheck:
    """message: the HealthCheckRequest. edit: initial metadata, and how long the server has."""

    message: bytes
    authority: str
    edit: Callable[[Endpoint, RequestHeaders], None]
    reuse: bool = True


class GrpcProbe(ExchangeProbe):
    def __init__(self, session: Session, connections: CheckConnections, check: GrpcCheck) -> None:
        super().__init__(session, connections, check.reuse)
        self._check = check
        self._reader = MessageReader(_LIMIT)
        self._answer: bytes | None = None

    def request(self) -> RequestHeaders:
        check, checking = self._check, self.endpoint.checking
        self._reader, self._answer = MessageReader(_LIMIT), None
        authority = (checking.hostname if checking is not None else "") or check.authority
        pairs = [("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", "Envoy/HC")]
        request = RequestHeaders("POST", _PATH, authority, pairs, scheme=self.scheme)
        check.edit(self.endpoint, request)
        return request

    def body(self) -> bytes:
        return frame_message(self._check.message)

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        if headers.status != 200 or end or not is_grpc(headers):
            # An error, or an answer without a message: neither says SERVING.
            self._found(False, end)

    def on_data(self, data: bytes, end: bool) -> None:
        try:
            messages = self._reader.feed(data)
        except MessageTooLong:
            self._found(False, end)
            return
        for flags, message in messages:
            if message and (flags or self._answer is not None):
                self._found(False, end)
                return
            self._answer = message or self._answer
        if end:
            # Without trailers there is no status.
            self._found(False, end)

    def on_trailers(self, trailers: Headers) -> None:
        self._found(trailers.get("grpc-status") == "0" and serving_status(self._answer or b"") == _SERVING, True)

    def timed_out(self) -> None:
        """The connection serves on, unless each check is to have its own."""
        if self._reuse and self.connected:
            self.reset()
        else:
            super().timed_out()

    def _found(self, serving: bool, end: bool) -> None:
        if end:
            self.over()
        else:
            self.reset()
        if serving:
            self.session.succeeded()
        else:
            self.session.failed(ACTIVE)


def check_request(service: str) -> bytes:
    """HealthCheckRequest: the name in field 1, as text."""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def serving_status(message: bytes) -> int:
    """Of a HealthCheckResponse, which has one number in field 1; 0 (UNKNOWN) where it says nothing, or rubbish."""
    status = at = 0
    while at + 1 < len(message):
        tag, at = message[at], at + 1
        value = shift = 0
        while at < len(message):
            byte, at = message[at], at + 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if tag != 8:
            # Fields that are not known: a number was skipped just now, what has a length is skipped here.
            at += value if tag & 7 == 2 else 0
            continue
        status = value
    return status


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
