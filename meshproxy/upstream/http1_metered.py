"""An HTTP/1.1 connection to an upstream whose bytes are counted, because a format asks for them."""

from typing import TYPE_CHECKING, Any

from meshproxy.http.headers import Headers, Pair, RequestHeaders
from meshproxy.http.meter import Meter, MeteredTransport
from meshproxy.upstream.http1_client import Http1Client
from meshproxy.upstream.sides import Exchange

if TYPE_CHECKING:
    from meshproxy.upstream.http1_pool import Http1Pool


class MeteredHttp1Client(Http1Client):
    """`meter`: of the exchange that is on; its stream knows it too, and keeps it."""

    __slots__ = ("meter",)

    def __init__(self, pool: "Http1Pool") -> None:
        super().__init__(pool)
        self.meter = Meter()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(MeteredTransport(transport, self.meter))

    def send_headers(self, attempt: Exchange, request: RequestHeaders, end: bool) -> None:
        self.meter = self.transport.meter = attempt.stream.upstream_meter = Meter()
        self.transport.head_next = True
        super().send_headers(attempt, request, end)

    def send_trailers(self, trailers: Headers) -> None:
        if self._chunked and self.pool.settings.http1.enable_trailers:
            self.meter.send_trailers(trailers.pairs)
        super().send_trailers(trailers)

    def data_received(self, data: bytes) -> None:
        self.meter.wire_received += len(data)
        super().data_received(data)

    def _read_head(self, data: bytes) -> bytes:
        said = self._said
        if said is not None and data.startswith(self._same):
            self.meter.take_head(said[2])
        return super()._read_head(data)

    def _response(
        self, status: int, reason: str, http11: bool, pairs: list[Pair], lines: list[str], rest: bytes
    ) -> bytes:
        self.meter.take_head(pairs)
        return super()._response(status, reason, http11, pairs, lines, rest)

    def _finish(self, attempt: Exchange, last: bytes | Headers, rest: bytes = b"") -> None:
        if self._decoder is not None and self.pool.settings.http1.enable_trailers:
            self.meter.take_trailers(self._decoder.trailers)
        super()._finish(attempt, last, rest)
