"""A client's HTTP/2 connection whose bytes are counted, because a format asks for them."""

from typing import TYPE_CHECKING, Any

from meshproxy.downstream.http2_exchange import Http2Exchange
from meshproxy.downstream.http2_server import Http2Server
from meshproxy.http.h2 import frames
from meshproxy.http.h2.connection import HANDLERS
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Pair
from meshproxy.http.meter import Meter

if TYPE_CHECKING:
    from meshproxy.http.h2.connection import Http2Connection

_OVERHEAD = frames.FRAME.size


class MeteredExchange(Http2Exchange):
    """As in Envoy, the frames of a stream are its bytes, and those of heads and trailers its header bytes."""

    __slots__ = ("meter",)

    meter: Meter

    def __init__(self, connection: "Http2Connection", stream_id: int) -> None:
        super().__init__(connection, stream_id)
        self.meter = Meter()

    def head_frame(self, size: int) -> None:
        """HEADERS or CONTINUATION came, with so many bytes."""
        meter = self.meter
        meter.wire_received += size + _OVERHEAD
        meter.headers_received += size + _OVERHEAD
        if not self.headers_received:
            meter.head_received += size + _OVERHEAD

    def write_headers(self, pairs: list[Pair], end: bool) -> None:
        server: MeteredHttp2Server = self.connection  # type: ignore[assignment]
        server.last_size = 0
        super().write_headers(pairs, end)
        self.meter.wire_sent += server.last_size
        self.meter.headers_sent += server.last_size

    def write_message(self, pairs: list[Pair], body: bytes) -> None:
        self.write_headers(pairs, False)
        self.write_data(body, True)

    def _put_data(self, data: bytes, end: bool) -> None:
        self.meter.wire_sent += len(data) + _OVERHEAD
        super()._put_data(data, end)


class MeteredHttp2Server(Http2Server):
    """`last_size`: of what was written last."""

    __slots__ = ("_head_size", "last_size")

    exchange = MeteredExchange

    def make_stream(self, stream_id: int) -> Http2Stream:
        made: Any = super().make_stream(stream_id)
        made.head_frame(self._head_size)
        return made  # type: ignore[no-any-return]

    def write(self, data: bytes) -> None:
        self.last_size = len(data)
        super().write(data)

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._head_size = len(payload)
        stream: Any = self.streams.get(stream_id)
        if stream is not None:
            stream.head_frame(len(payload))
        super()._on_headers(flags, stream_id, payload)

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        stream: Any = self.streams.get(stream_id)
        if stream is not None:
            stream.head_frame(len(payload))
        super()._on_continuation(flags, stream_id, payload)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        stream: Any = self.streams.get(stream_id)
        if stream is not None:
            stream.meter.wire_received += len(payload) + _OVERHEAD
        super()._on_data(flags, stream_id, payload)

    handlers = (*HANDLERS[: frames.CONTINUATION], _on_continuation)
