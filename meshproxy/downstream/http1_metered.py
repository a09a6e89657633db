"""A client's HTTP/1 connection whose bytes are counted, because a format asks for them."""

from typing import TYPE_CHECKING, Any

from meshproxy.downstream.http1_server import Http1Server
from meshproxy.http.chunked import ChunkedDecoder
from meshproxy.http.h1_lines import RequestLine
from meshproxy.http.headers import Headers, Pair, ResponseHeaders
from meshproxy.http.meter import Meter, MeteredTransport
from meshproxy.http.stream import Stream

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager
    from meshproxy.net.connection import Connection


class MeteredHttp1Server(Http1Server):
    """`meter`: of the exchange that is on, or of the bytes that came before it."""

    __slots__ = ("meter",)

    meter: Meter

    def __init__(self, manager: "HttpManager", connection: "Connection") -> None:
        super().__init__(manager, connection)
        self.meter = Meter()

    @property
    def socket_transport(self) -> Any:
        return self.transport.bare

    def connection_made(self, transport: Any) -> None:
        super().connection_made(MeteredTransport(transport, self.meter))

    def data_received(self, data: bytes) -> None:
        self.meter.wire_received += len(data)
        super().data_received(data)

    def _request(self, line: RequestLine, pairs: list[Pair], lines: list[str], data: bytes, end: int) -> None:
        meter = self.meter
        # Where it came in one read with the request before it, its bytes count once more: that is how Envoy counts.
        meter.wire_received = meter.wire_received or len(data)
        meter.take_head(pairs)
        super()._request(line, pairs, lines, data, end)

    def _repeat(self, method: str, path: str, host: str, pairs: tuple[Pair, ...], index: dict[str, str]) -> None:
        meter = self.meter
        meter.wire_received = meter.wire_received or len(self._same)
        meter.take_head((("host", host), *pairs))
        super()._repeat(method, path, host, pairs, index)

    def _receive(self, stream: Stream, body: bytes, ended: bool, decoder: ChunkedDecoder) -> None:
        if ended and self.manager.http1.enable_trailers:
            self.meter.take_trailers(decoder.trailers)
        super()._receive(stream, body, ended, decoder)

    def send_headers(self, stream: Stream, headers: ResponseHeaders, end: bool) -> None:
        self.transport.head_next = True
        super().send_headers(stream, headers, end)

    def send_response(self, stream: Stream, headers: ResponseHeaders, body: bytes) -> None:
        self.transport.head_next = True
        super().send_response(stream, headers, body)

    def send_informational(self, stream: Stream, headers: ResponseHeaders) -> None:
        self.transport.head_next = True
        super().send_informational(stream, headers)

    def _say_persistence(self, stream: Stream, pairs: list[Pair]) -> list[Pair]:
        said = super()._say_persistence(stream, pairs)
        if said is not pairs:
            self.meter.added = len(said[-1][0]) + len(said[-1][1])
        return said

    def send_trailers(self, stream: Stream, trailers: Headers) -> None:
        if self._chunked_out and self.manager.http1.enable_trailers:
            self.meter.send_trailers(trailers.pairs)
        super().send_trailers(stream, trailers)

    def release(self, stream: Stream) -> None:
        if self.stream is stream:
            self.meter = self.transport.meter = Meter()
        super().release(stream)
