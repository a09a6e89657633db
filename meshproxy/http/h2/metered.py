"""Counts what the streams of an HTTP/2 connection put on the wire and take from it, for either side.

As in Envoy, the frames of a stream are its bytes, those of heads and trailers its header bytes; what these come to
without compression is the sum of names and values. A side derives its stream and its connection from these, in front of
the classes that they count for.
"""

from typing import TYPE_CHECKING, Any

from meshproxy.http.h2 import frames
from meshproxy.http.h2.connection import HANDLERS, Http2Connection
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Pair

if TYPE_CHECKING:
    from meshproxy.http.meter import Meter

_OVERHEAD = frames.FRAME.size


class MeteredStream(Http2Stream):
    """`meter`: there from the first frame on."""

    __slots__ = ()

    if TYPE_CHECKING:
        meter: Meter

    def head_frame(self, size: int) -> None:
        """HEADERS or CONTINUATION came, with so many bytes."""
        meter = self.meter
        meter.wire_received += size + _OVERHEAD
        meter.headers_received += size + _OVERHEAD

    def took(self, pairs: list[Pair], more: int = 0) -> None:
        """A head or trailers came; more: bytes of pseudo headers."""
        self.meter.head_received += size_of(pairs) + more

    def write_headers(self, pairs: list[Pair], end: bool) -> None:
        connection: MeteredConnection = self.connection  # type: ignore[assignment]
        connection.last_size = 0
        super().write_headers(pairs, end)
        meter = self.meter
        meter.wire_sent += connection.last_size
        meter.headers_sent += connection.last_size
        meter.head_sent += size_of(pairs)

    def write_message(self, pairs: list[Pair], body: bytes) -> None:
        self.write_headers(pairs, False)
        self.write_data(body, True)

    def _put_data(self, data: bytes, end: bool) -> None:
        self.meter.wire_sent += len(data) + _OVERHEAD
        super()._put_data(data, end)


class MeteredConnection(Http2Connection):
    """`last_size`: of what was written last. `head_size`: of the HEADERS that came last."""

    last_size = 0
    head_size = 0

    def write(self, data: bytes) -> None:
        self.last_size = len(data)
        super().write(data)

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        self.head_size = len(payload)
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

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        stream: Any = self.streams.get(stream_id)
        if stream is not None:
            stream.meter.wire_received += len(payload) + _OVERHEAD
        super()._on_rst_stream(flags, stream_id, payload)

    handlers = (
        *HANDLERS[: frames.RST_STREAM], _on_rst_stream, *HANDLERS[frames.RST_STREAM + 1 : frames.CONTINUATION],
        _on_continuation,
    )  # fmt: skip


def size_of(pairs: list[Pair]) -> int:
    return sum([len(name) + len(value) for name, value in pairs])
