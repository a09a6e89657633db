"""One HTTP/2 connection, at either end: frames in and out (RFC 9113).

Frames are taken apart in one pass over what a read gave, and everything that this causes to be written leaves in one
write at its end. What a peer does wrong is judged as the library in Envoy (nghttp2) judges it: see errors.py.
"""

from typing import Any

from meshproxy.http.h2 import frames
from meshproxy.http.h2.errors import INVALID_MESSAGE, UNKNOWN_ERROR, UNWANTED, ConnectionBroken, MessageInvalid
from meshproxy.http.h2.link import Http2Link
from meshproxy.http.h2.stream import Http2Stream

_FRAME = frames.FRAME
_OVERHEAD = _FRAME.size
# Blocks that are remembered per connection, and of which size.
_KNOWN_BLOCKS = 64
_KNOWN_SIZE = 1024
# Responses without a body, whatever they say of its length.
_BODILESS = frozenset({204, 304})
# CONTINUATION frames of one block, as the library in Envoy allows.
_MOST_CONTINUATIONS = 512
# A block this many times as long as a head may be is not read to its end, not even for the sake of the tables: no
# coding makes text four times as long.
_BLOCK_FACTOR = 4
_BLOCK_SLACK = 64 * 1024
_NOT_CONTINUED = "unexpected non-CONTINUATION frame or stream_id is invalid"


class Http2Connection(Http2Link):
    """Sides derive from it; http/h2/__init__.py says what they call and override."""

    __slots__ = ()

    # What takes each type of frame but the two that come most.
    handlers: tuple[Any, ...]

    def data_received(self, data: bytes) -> None:
        self.count_received(len(data))
        if not self.closing:
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Bytes that came; everything that they cause to be written leaves in one write."""
        if self._buffer:
            data = self._buffer + data
        limits = self.limits
        if limits.control and not self.transport.get_write_buffer_size():
            limits.control = 0
        self._reading = True
        before = len(self._out) if self._started else 0
        try:
            self._buffer = self._read(data, 0 if self._started else self._read_preface(data))
        except ConnectionBroken as error:
            self._break(error, before)
        finally:
            self._reading = False
        self.flush()

    # ---- reading ----

    def _read_preface(self, data: bytes) -> int:
        """Where the first frame begins; -1 while the preface is not there."""
        if not data.startswith(frames.PREFACE):
            if frames.PREFACE.startswith(data):
                return -1
            raise ConnectionBroken(frames.PROTOCOL_ERROR, told=False)
        self._started = True
        return len(frames.PREFACE)

    def _read(self, data: bytes, at: int) -> bytes:
        """Takes whole frames from `at` on; what is left."""
        if at < 0:
            return data
        size = len(data)
        unpack = _FRAME.unpack_from
        if self._no_priorities is None and size - at > 3 and data[at + 3] != frames.SETTINGS:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "SETTINGS expected")
        while size - at >= _OVERHEAD:
            word, flags, stream_id = unpack(data, at)
            end = at + _OVERHEAD + (word >> 8)
            if end > size:
                if word >> 8 > frames.DEFAULT_FRAME_SIZE:
                    raise ConnectionBroken(frames.FRAME_SIZE_ERROR, "too large frame size")
                break
            payload = data[at + _OVERHEAD : end]
            at = end
            kind = word & 0xFF
            stream_id &= 0x7FFFFFFF
            if len(payload) > frames.DEFAULT_FRAME_SIZE:
                raise ConnectionBroken(frames.FRAME_SIZE_ERROR, "too large frame size")
            if self._block is not None and kind != frames.CONTINUATION:
                raise ConnectionBroken(frames.PROTOCOL_ERROR, _NOT_CONTINUED)
            if kind == frames.HEADERS:
                self._on_headers(flags, stream_id, payload)
            elif kind == frames.DATA:
                self._on_data(flags, stream_id, payload)
            elif kind < len(HANDLERS):
                self.handlers[kind](self, flags, stream_id, payload)
            if self.closing:
                return b""
        return data[at:]

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        size = len(payload)
        stream = self.streams.get(stream_id)
        self.receive_window -= size
        if stream is None or stream.remote_closed:
            self._judge_late_data(stream, stream_id)
            self._give_back(size)
            return
        if self.receive_window < 0:
            raise ConnectionBroken(frames.FLOW_CONTROL_ERROR)
        stream.receive_window -= size
        if flags & frames.PADDED:
            payload = _unpad(payload, "DATA")
        end = bool(flags & frames.END_STREAM)
        if payload or end:
            self.limits.empty_frames = 0
        else:
            self.limits.empty_frame(stream)
        if stream.receive_window < 0:
            self._reset(stream, frames.FLOW_CONTROL_ERROR, "http2.remote_reset")
            return
        if stream.content_left >= 0 and not self._judge_length(stream, len(payload), end):
            return
        if not stream.headers_received:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "DATA: stream not opened")
        if end:
            stream.remote_closed = True
        stream.held += size
        stream.on_data(payload, end)
        if not stream.pauses and stream.held:
            held, stream.held = stream.held, 0
            self.consume(stream, held)
        if end and stream.local_closed:
            self.forget(stream)

    def _judge_late_data(self, stream: Http2Stream | None, stream_id: int) -> None:
        if stream is not None:
            raise ConnectionBroken(frames.STREAM_CLOSED, "DATA: stream in half-closed(remote)")
        if not stream_id:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "DATA: stream_id == 0")
        if self._is_idle(stream_id):
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "DATA: stream in idle")
        if stream_id not in self._reset_here:
            # It is over, and not because of us: the peer should know.
            self.write_answer(frames.rst_stream(stream_id, frames.STREAM_CLOSED))

    def _judge_length(self, stream: Http2Stream, size: int, end: bool) -> bool:
        """Whether the body is as long as content-length said, as far as one knows."""
        stream.content_left -= size
        if stream.content_left < 0 or (end and stream.content_left):
            self._reset(stream, frames.PROTOCOL_ERROR, "http2.remote_reset")
            return False
        return True

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & frames.PADDED:
            payload = _unpad(payload, "HEADERS")
        if flags & frames.HAS_PRIORITY:
            if len(payload) < 5:
                raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
            if int.from_bytes(payload[:4], "big") & 0x7FFFFFFF == stream_id:
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "HEADERS: depend on itself", told=False)
            payload = payload[5:]
        if not stream_id:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "HEADERS: stream_id == 0", told=False)
        stream = self.streams.get(stream_id)
        if stream is None:
            stream = self._open_for(stream_id)
        elif stream.remote_closed:
            raise ConnectionBroken(frames.STREAM_CLOSED, UNKNOWN_ERROR, False, stream)
        if payload:
            self.limits.empty_frames = 0
        elif not flags & frames.END_STREAM:
            self.limits.empty_frame(stream)
        if flags & frames.END_HEADERS:
            self._on_block(stream, flags, payload)
        else:
            self._block = (stream_id, stream, flags, [payload])
            if stream is not None and not stream.headers_received:
                self.on_head_started(stream)

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "CONTINUATION: unexpected")
        expected, stream, first, pieces = self._block
        if stream_id != expected:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, _NOT_CONTINUED)
        if payload:
            self.limits.empty_frames = 0
        else:
            self.limits.empty_frame(stream)
        if len(pieces) > _MOST_CONTINUATIONS:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, told=False)
        pieces.append(payload)
        if len(pieces) * frames.DEFAULT_FRAME_SIZE > _BLOCK_SLACK:
            self._judge_block(pieces)
        if flags & frames.END_HEADERS:
            self._block = None
            self._on_block(stream, first, b"".join(pieces))

    def _judge_block(self, pieces: list[bytes]) -> None:
        if sum(map(len, pieces)) > self.options.max_head * _BLOCK_FACTOR + _BLOCK_SLACK:
            raise ConnectionBroken(frames.ENHANCE_YOUR_CALM, "header block without an end")

    def _on_block(self, stream: Http2Stream | None, flags: int, block: bytes) -> None:
        """A header block is complete: a head, or trailers; or of a stream that nobody serves."""
        if stream is None or stream.closed:
            self.decoder.decode(block)
            return
        end = bool(flags & frames.END_STREAM)
        try:
            if stream.headers_received:
                self._on_trailers(stream, block, end)
            else:
                self._on_head(stream, block, end)
        except MessageInvalid as error:
            self._invalid(stream, error)

    def _open_for(self, stream_id: int) -> Http2Stream | None:
        """The stream that a head opens; None where its block is read for the sake of the tables alone."""
        if self.client or not stream_id & 1:
            if self._is_idle(stream_id) or not stream_id & 1:
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "request HEADERS: invalid stream_id", told=False)
            return None
        if stream_id > self.last_peer:
            return self._accept(stream_id)
        if self.limits.skips(stream_id):
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "request HEADERS: invalid stream_id")
        if stream_id not in self._reset_here:
            raise ConnectionBroken(frames.STREAM_CLOSED, "HEADERS: stream closed")
        return None

    def _accept(self, stream_id: int) -> Http2Stream | None:
        self.limits.stream_opened(self.last_peer, stream_id)
        self.last_peer = stream_id
        if stream_id > self._last_served:
            return None
        if len(self.streams) >= self.options.max_concurrent_streams:
            if self._settings_acked:
                reason = "request HEADERS: max concurrent streams exceeded"
                raise ConnectionBroken(frames.PROTOCOL_ERROR, reason, told=False)
            self.stats.stream_refused_errors += 1
            self.write_answer(frames.rst_stream(stream_id, frames.REFUSED_STREAM))
            return None
        stream = self.make_stream(stream_id)
        self.open(stream)
        return stream

    def _on_head(self, stream: Http2Stream, block: bytes, end: bool) -> None:
        decoder = self.decoder
        head = decoder.known_heads.get(block)
        if head is None:
            pairs = decoder.decode(block)
            head = self.parse_head(pairs)
            if not decoder.changed and len(block) <= _KNOWN_SIZE:
                if len(decoder.known_heads) >= _KNOWN_BLOCKS:
                    decoder.known_heads.clear()
                decoder.known_heads[block] = head
        length = head.length
        if self.client:
            if stream.bodiless or head.status in _BODILESS:
                length = 0
            elif head.status < 200 and end:
                raise MessageInvalid(INVALID_MESSAGE)
        if length >= 0:
            if end and length:
                raise MessageInvalid(INVALID_MESSAGE)
            stream.content_left = length
        stream.headers_received = not self.client or head.status >= 200
        if end:
            stream.remote_closed = True
        stream.on_headers(head, end)
        if end and stream.local_closed:
            self.forget(stream)

    def _on_trailers(self, stream: Http2Stream, block: bytes, end: bool) -> None:
        if not self.client:
            self.stats.trailers += 1
        decoder = self.decoder
        pairs = decoder.known_trailers.get(block)
        if pairs is None:
            pairs = self.parse_trailers(decoder.decode(block))
            if not decoder.changed and len(block) <= _KNOWN_SIZE:
                if len(decoder.known_trailers) >= _KNOWN_BLOCKS:
                    decoder.known_trailers.clear()
                decoder.known_trailers[block] = pairs
        if not end or stream.content_left > 0:
            raise MessageInvalid(INVALID_MESSAGE)
        stream.remote_closed = True
        stream.on_trailers(pairs)
        if stream.local_closed:
            self.forget(stream)

    def _invalid(self, stream: Http2Stream, error: MessageInvalid) -> None:
        """A message that HTTP does not allow costs its connection, without a word, unless that is not wanted."""
        if error.details in UNWANTED:
            self.stats.count_unwanted(error.details)
            self._reset(stream, frames.INTERNAL_ERROR, error.details)
            return
        self.stats.rx_messaging_error += 1
        if self.options.stream_error:
            self._reset(stream, frames.PROTOCOL_ERROR, error.details)
            return
        raise ConnectionBroken(frames.PROTOCOL_ERROR, error.details, False, stream)

    def _reset(self, stream: Http2Stream, code: int, details: str) -> None:
        """Ends a stream of which something was wrong."""
        stream.write_reset(code)
        stream.on_reset(code, False, details)

    def _is_idle(self, stream_id: int) -> bool:
        """Whether it is a stream that nobody has opened yet."""
        own = bool(stream_id & 1) == self.client
        return stream_id > (self.last_opened if own else self.last_peer)

    def _on_priority(self, flags: int, stream_id: int, payload: bytes) -> None:
        if not stream_id:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "PRIORITY: stream_id == 0")
        if len(payload) != 5:
            raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
        if int.from_bytes(payload[:4], "big") & 0x7FFFFFFF == stream_id:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "PRIORITY: depend on itself")
        self.limits.priority_frame(len(self.streams))

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
        stream = self.streams.get(stream_id)
        if stream is None:
            if not stream_id or self._is_idle(stream_id):
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "RST_STREAM: stream in idle", told=False)
            return
        self.stats.rx_reset += 1
        stream.local_closed = stream.remote_closed = True
        self.forget(stream)
        stream.on_reset(int.from_bytes(payload, "big"), True, "http2.remote_reset")

    def _on_settings(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) % 6 or (flags & frames.ACK and payload):
            raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
        if stream_id:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "SETTINGS: stream_id != 0", told=False)
        if flags & frames.ACK:
            if not self._settings_acked:
                self._settings_acked = True
                self.decoder.announce(self.options.hpack_table_size)
            return
        values = frames.read_settings(payload)
        for name, value in values:
            self._set(name, value)
        if self._no_priorities is None:
            self._no_priorities = 0
        self.write_answer(frames.SETTINGS_ACK)
        self.on_settings()
        self.pump_all()

    def _set(self, name: int, value: int) -> None:
        if name == frames.HEADER_TABLE_SIZE:
            self.encoder.resize(value)
        elif name == frames.ENABLE_PUSH:
            if value > 1 or (value and self.client):
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "SETTINGS: invalid SETTINGS_ENBLE_PUSH", told=False)
        elif name == frames.MAX_CONCURRENT_STREAMS:
            self.peer_max_streams = value
        elif name == frames.INITIAL_WINDOW_SIZE:
            if value > frames.MAX_WINDOW:
                raise ConnectionBroken(frames.FLOW_CONTROL_ERROR, "SETTINGS: too large", told=False)
            change = value - self.peer_window
            self.peer_window = value
            for stream in self.streams.values():
                stream.send_window += change
                if stream.send_window > frames.MAX_WINDOW:
                    raise ConnectionBroken(frames.FLOW_CONTROL_ERROR, told=False)
        elif name == frames.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME_SIZE <= value < 1 << 24:
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "SETTINGS: invalid MAX_FRAME_SIZE", told=False)
            self.peer_frame_size = value
        elif name == frames.ENABLE_CONNECT_PROTOCOL:
            if value > 1 or (self.peer_allows_connect and not value):
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "SETTINGS: invalid CONNECT_PROTOCOL", told=False)
            self.peer_allows_connect = bool(value)
        elif name == frames.NO_RFC7540_PRIORITIES:
            if value > 1 or self._no_priorities not in (None, value):
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "SETTINGS: NO_RFC7540_PRIORITIES changed", told=False)
            self._no_priorities = value

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes) -> None:
        """We have said that we want none, and clients may not."""
        raise ConnectionBroken(frames.PROTOCOL_ERROR, "PUSH_PROMISE: not wanted", told=False)

    def _on_ping(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
        if stream_id:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "PING: stream_id != 0", told=False)
        if flags & frames.ACK:
            self.on_ping_ack(payload)
        else:
            self.write_answer(frames.ping(payload, ack=True))

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) < 8:
            raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
        if stream_id:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "GOAWAY: stream_id != 0", told=False)
        last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        self.goaway_received = last
        self.on_goaway(last, int.from_bytes(payload[4:8], "big"), payload[8:])

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        self.limits.window_update(len(self.streams), self.data_frames_sent)
        if not stream_id:
            if not increment:
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "WINDOW_UPDATE: window_size_increment == 0", told=False)
            self.send_window += increment
            if self.send_window > frames.MAX_WINDOW:
                raise ConnectionBroken(frames.FLOW_CONTROL_ERROR, "WINDOW_UPDATE: window size overflow")
            self.pump()
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            if self._is_idle(stream_id):
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "WINDOW_UPDATE to idle stream", told=False)
            return
        if not increment:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, UNKNOWN_ERROR, False, stream)
        stream.send_window += increment
        if stream.send_window > frames.MAX_WINDOW:
            self._reset(stream, frames.FLOW_CONTROL_ERROR, UNKNOWN_ERROR)
        elif stream.queue is not None:
            self.waiting[stream] = None
            self.pump()


def _unpad(payload: bytes, kind: str) -> bytes:
    if not payload:
        raise ConnectionBroken(frames.PROTOCOL_ERROR, f"{kind}: insufficient padding space")
    padding = payload[0]
    if padding >= len(payload):
        raise ConnectionBroken(frames.PROTOCOL_ERROR, f"{kind}: invalid padding")
    return payload[1 : len(payload) - padding]


# By type of frame.
HANDLERS: tuple[Any, ...] = (
    Http2Connection._on_data, Http2Connection._on_headers, Http2Connection._on_priority,
    Http2Connection._on_rst_stream, Http2Connection._on_settings, Http2Connection._on_push_promise,
    Http2Connection._on_ping, Http2Connection._on_goaway, Http2Connection._on_window_update,
    Http2Connection._on_continuation,
)  # fmt: skip
Http2Connection.handlers = HANDLERS
