"""One HTTP/2 connection, at either end: frames in and out (RFC 9113).

Frames are taken apart in one pass over what a read gave, and everything that this causes to be written leaves in one
write at its end. What a peer does wrong is judged as the library in Envoy (nghttp2) judges it: see errors.py.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from meshproxy.http.h2 import frames
from meshproxy.http.h2.errors import INVALID_MESSAGE, TOO_LARGE, ConnectionBroken, MessageInvalid
from meshproxy.http.h2.heads import parse_trailers
from meshproxy.http.h2.hpack_decoder import HpackDecoder
from meshproxy.http.h2.hpack_encoder import HpackEncoder
from meshproxy.http.h2.limits import Limits
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Pair

if TYPE_CHECKING:
    from meshproxy.http.h2.options import Http2Options
    from meshproxy.http.h2.stats import Http2Stats

_FRAME = frames.FRAME
_OVERHEAD = _FRAME.size
# Blocks that are remembered per connection, and of which size.
_KNOWN_BLOCKS = 64
_KNOWN_SIZE = 1024
# Responses without a body, whatever they say of its length.
_BODILESS = frozenset({204, 304})
# CONTINUATION frames of one block, as the library in Envoy allows.
_MOST_CONTINUATIONS = 8
_NOT_CONTINUED = "unexpected non-CONTINUATION frame or stream_id is invalid"


class Http2Connection(asyncio.Protocol):
    """Sides derive from it; http/h2/__init__.py says what they call and override."""

    __slots__ = (
        "_block", "_buffer", "_continued", "_last_served", "_out", "_reading", "_settings_acked", "_started",
        "blocked", "buffer_limit", "client", "closed_here", "closing", "credit", "data_frames_sent", "decoder",
        "encoder", "goaway_received", "goaway_sent", "last_opened", "last_peer", "limits", "options",
        "peer_allows_connect", "peer_frame_size", "peer_max_streams", "peer_window", "receive_window", "send_window",
        "stats", "streams", "transport", "waiting",
    )  # fmt: skip

    def __init__(self, options: "Http2Options", stats: "Http2Stats", buffer_limit: int, client: bool) -> None:
        self.options = options
        self.stats = stats
        self.buffer_limit = min(buffer_limit, options.initial_stream_window) or options.initial_stream_window
        self.client = client
        self.transport: Any = None
        self.streams: dict[int, Http2Stream] = {}
        # Streams with something in their queue, in the order in which it is their turn.
        self.waiting: dict[Http2Stream, None] = {}
        self.decoder = HpackDecoder()
        self.encoder = HpackEncoder(options.hpack_table_size)
        self.limits = Limits(options, stats)
        # Nothing more is read, and nothing but what was written before will be.
        self.closing = False
        # It was we who closed.
        self.closed_here = False
        # The socket takes no more for now.
        self.blocked = False
        self.goaway_sent = False
        self.goaway_received: int | None = None
        # The peer's settings.
        self.peer_window = frames.DEFAULT_WINDOW
        self.peer_frame_size = frames.DEFAULT_FRAME_SIZE
        self.peer_max_streams = frames.LARGEST_STREAM_ID
        self.peer_allows_connect = False
        self.send_window = frames.DEFAULT_WINDOW
        self.receive_window = max(options.initial_connection_window, frames.DEFAULT_WINDOW)
        self.credit = 0
        self.data_frames_sent = 0
        # The last stream that the peer has opened, and that we have.
        self.last_peer = 0
        self.last_opened = -1 if client else 0
        # The last stream of the peer that GOAWAY has promised to serve.
        self._last_served = frames.LARGEST_STREAM_ID
        self._settings_acked = False
        self._buffer = b""
        self._out: list[bytes] = []
        self._reading = False
        # The client has sent its preface; servers have none.
        self._started = client
        # A header block that is not complete: its stream, flags, and pieces.
        self._block: tuple[int, int, list[bytes]] | None = None
        self._continued = 0

    # ---- for sides to override ----

    def make_stream(self, stream_id: int) -> Http2Stream:
        """The peer opens a stream."""
        raise NotImplementedError

    def parse_head(self, pairs: list[Pair]) -> Any:
        """What `on_headers` of streams is given; MessageInvalid where the pairs are no head."""
        raise NotImplementedError

    def on_settings(self) -> None:
        """The peer's settings are known, or have changed."""

    def on_goaway(self, last: int, code: int, debug: bytes) -> None: ...
    def on_ping_ack(self, data: bytes) -> None: ...
    def stream_closed(self, stream: Http2Stream) -> None:
        """It is not among the streams any more, whoever ended it."""

    def count_received(self, size: int) -> None: ...
    def count_sent(self, size: int) -> None: ...
    def on_broken(self, error: ConnectionBroken) -> None:
        """The peer broke the protocol; what there is to say was said. The side closes."""
        self.close()

    def on_closed(self, error: Exception | None) -> None:
        """The socket is gone. `streams` has those that were not over."""

    # ---- the transport's callbacks ----

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=self.buffer_limit)
        self.write(self.greeting())

    def greeting(self) -> bytes:
        """What goes first: the preface of clients, our settings, and the window of the connection."""
        options = self.options
        start = frames.PREFACE if self.client else b""
        start += frames.settings(self._settings())
        extra = options.initial_connection_window - frames.DEFAULT_WINDOW
        return start + frames.window_update(0, extra) if extra > 0 else start

    def _settings(self) -> list[tuple[int, int]]:
        """What is announced, in the order of the library in Envoy."""
        options = self.options
        known = [
            (frames.HEADER_TABLE_SIZE, options.hpack_table_size),
            (frames.ENABLE_CONNECT_PROTOCOL, int(options.allow_connect)),
            (frames.MAX_CONCURRENT_STREAMS, options.max_concurrent_streams),
            (frames.INITIAL_WINDOW_SIZE, options.initial_stream_window),
        ]
        if self.client:
            known.insert(0, (frames.ENABLE_PUSH, 0))
        own = dict(options.settings)
        return [*options.settings, *[pair for pair in known if pair[0] not in own]]

    def connection_lost(self, error: Exception | None) -> None:
        self.closed_here, self.closing = self.closing, True
        self._out.clear()
        self.waiting.clear()
        self.on_closed(error)

    def pause_writing(self) -> None:
        self.blocked = True
        for stream in list(self.streams.values()):
            stream.judge_queue()

    def resume_writing(self) -> None:
        self.blocked = False
        self.pump()
        for stream in list(self.streams.values()):
            stream.judge_queue()

    def data_received(self, data: bytes) -> None:
        self.count_received(len(data))
        if not self.closing:
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Bytes that came; everything that they cause to be written leaves in one write."""
        if self._buffer:
            data = self._buffer + data
        self._reading = True
        try:
            self._buffer = self._read(data, 0 if self._started else self._read_preface(data))
        except ConnectionBroken as error:
            self._break(error)
        self._reading = False
        self.flush()

    def _break(self, error: ConnectionBroken) -> None:
        self._buffer = b""
        if error.told:
            # Envoy's library sends it, and Envoy counts only what it sends itself.
            self.goaway_sent = True
            self.write(frames.goaway(self.last_peer, error.code, error.reason.encode()))
        else:
            # As in Envoy, which gives up in the middle of a read: what that has caused is not sent any more.
            self._out.clear()
        self.on_broken(error)

    # ---- writing ----

    def write(self, data: bytes) -> None:
        """Bytes of whole frames, at once or with all that this read causes."""
        if self._reading:
            self._out.append(data)
        elif not self.closing:
            self.count_sent(len(data))
            self.transport.write(data)

    def write_control(self, data: bytes) -> None:
        """One frame that is no data and no head: a peer that makes us write too many of them is flooding."""
        self.limits.control_frame(self.transport)
        self.write(data)

    def write_later(self, data: bytes) -> None:
        """Bytes that leave with the next ones, in front of them."""
        self._out.append(data)

    def flush(self) -> None:
        out = self._out
        if out and not self.closing:
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            self.count_sent(len(data))
            self.transport.write(data)

    def send_ping(self, data: bytes) -> None:
        self.write(frames.ping(data))

    def send_goaway(self, code: int, last: int | None = None, debug: bytes = b"") -> None:
        """last: the last stream of the peer that is served; None for the last one that it has opened."""
        self.goaway_sent = True
        self.stats.goaway_sent += 1
        self._last_served = self.last_peer if last is None else last
        self.write(frames.goaway(self._last_served, code, debug))

    def close(self) -> None:
        """Closes once everything is written."""
        if not self.closing:
            self.flush()
            self.closing = True
            self.transport.close()

    def abort(self) -> None:
        self.closing = True
        self.transport.abort()

    # ---- streams ----

    def can_open(self) -> bool:
        """Client: whether one more stream is allowed."""
        return (
            not self.closing and self.goaway_received is None and not self.goaway_sent
            and len(self.streams) < self.peer_max_streams and self.last_opened + 2 <= frames.LARGEST_STREAM_ID
        )  # fmt: skip

    def next_id(self) -> int:
        """Client: for a new Http2Stream, which `open` then takes."""
        self.last_opened += 2
        return self.last_opened

    def open(self, stream: Http2Stream) -> None:
        self.streams[stream.id] = stream
        self.stats.streams_active += 1

    def forget(self, stream: Http2Stream) -> None:
        """It is over at both ends, or reset."""
        if self.streams.pop(stream.id, None) is None:
            return
        self.stats.streams_active -= 1
        stream.drop_queue()
        if stream.held:
            # What nobody will read any more must not keep the others' window.
            self._give_back(stream.held)
            stream.held = 0
        self.stream_closed(stream)

    def consume(self, stream: Http2Stream, size: int) -> None:
        """Bytes of DATA were taken from the stream: the peer may send as many more, told in large steps."""
        self._give_back(size)
        stream.credit += size
        if stream.credit * 2 >= self.options.initial_stream_window and not stream.remote_closed:
            stream.receive_window += stream.credit
            self.write(frames.window_update(stream.id, stream.credit))
            stream.credit = 0

    def _give_back(self, size: int) -> None:
        self.credit += size
        if self.credit * 2 >= self.options.initial_connection_window:
            self.receive_window += self.credit
            self.write(frames.window_update(0, self.credit))
            self.credit = 0

    def pump(self) -> None:
        """Everybody who waits sends a frame, in turn, as long as windows and socket allow."""
        waiting = self.waiting
        moved = True
        while moved and waiting and not self.blocked:
            moved = False
            for stream in list(waiting):
                if not self.blocked and stream.pump():
                    moved = True
                    stream.judge_queue()

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
            elif kind < len(_HANDLERS):
                _HANDLERS[kind](self, flags, stream_id, payload)
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
            self.limits.empty_frame()
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
        if payload:
            self.limits.empty_frames = 0
        elif not flags & frames.END_STREAM:
            self.limits.empty_frame()
        if flags & frames.END_HEADERS:
            self._on_block(stream_id, flags, payload)
        else:
            self._block = (stream_id, flags, [payload])
            self._continued = 0

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "CONTINUATION: unexpected")
        expected, first, pieces = self._block
        if stream_id != expected:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, _NOT_CONTINUED)
        self._continued += 1
        if self._continued > _MOST_CONTINUATIONS:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, told=False)
        pieces.append(payload)
        if flags & frames.END_HEADERS:
            self._block = None
            self._on_block(stream_id, first, b"".join(pieces))

    def _on_block(self, stream_id: int, flags: int, block: bytes) -> None:
        """A header block is complete: a head, or trailers."""
        end = bool(flags & frames.END_STREAM)
        stream = self.streams.get(stream_id)
        if stream is None:
            if self.client or not stream_id & 1 or stream_id <= self.last_peer:
                self._judge_late_block(stream_id, block)
                return
            stream = self._accept(stream_id)
            if stream is None:
                self.decoder.decode(block)
                return
        elif stream.remote_closed:
            self.decoder.decode(block)
            raise ConnectionBroken(frames.STREAM_CLOSED, "HEADERS: stream closed")
        try:
            if stream.headers_received:
                self._on_trailers(stream, block, end)
            else:
                self._on_head(stream, block, end)
        except MessageInvalid as error:
            self._invalid(stream, error)

    def _accept(self, stream_id: int) -> Http2Stream | None:
        self.last_peer = stream_id
        self.limits.streams_opened += 1
        if stream_id > self._last_served:
            return None
        if len(self.streams) >= self.options.max_concurrent_streams:
            if self._settings_acked:
                reason = "request HEADERS: max concurrent streams exceeded"
                raise ConnectionBroken(frames.PROTOCOL_ERROR, reason, told=False)
            self.stats.stream_refused_errors += 1
            self.write_control(frames.rst_stream(stream_id, frames.REFUSED_STREAM))
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
        decoder = self.decoder
        pairs = decoder.known_trailers.get(block)
        if pairs is None:
            pairs = parse_trailers(decoder.decode(block), self.options)
            if not decoder.changed and len(block) <= _KNOWN_SIZE:
                if len(decoder.known_trailers) >= _KNOWN_BLOCKS:
                    decoder.known_trailers.clear()
                decoder.known_trailers[block] = pairs
        if not end or stream.content_left > 0:
            raise MessageInvalid(INVALID_MESSAGE)
        stream.remote_closed = True
        if not self.client:
            self.stats.trailers += 1
        stream.on_trailers(pairs)
        if stream.local_closed:
            self.forget(stream)

    def _judge_late_block(self, stream_id: int, block: bytes) -> None:
        """A head for a stream that is over, or that the peer may not open."""
        self.decoder.decode(block)
        if self._is_idle(stream_id) or (self.client and not stream_id & 1):
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "request HEADERS: invalid stream_id", told=False)

    def _invalid(self, stream: Http2Stream, error: MessageInvalid) -> None:
        """A message that HTTP does not allow costs its connection, without a word, unless that is not wanted."""
        if error.details in TOO_LARGE:
            self.stats.count_too_large(error.details, self.client)
            self._reset(stream, frames.INTERNAL_ERROR, error.details)
            return
        self.stats.rx_messaging_error += 1
        if self.options.stream_error:
            self._reset(stream, frames.PROTOCOL_ERROR, error.details)
            return
        stream.local_closed = stream.remote_closed = True
        self.forget(stream)
        stream.on_reset(frames.PROTOCOL_ERROR, False, error.details)
        raise ConnectionBroken(frames.PROTOCOL_ERROR, error.details, told=False)

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
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "PRIORITY: stream_id == 0", told=False)
        if len(payload) != 5:
            raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
        self.limits.priority_frame()

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
        for name, value in frames.read_settings(payload):
            self._set(name, value)
        self.write_control(frames.SETTINGS_ACK)
        self.on_settings()
        if self.waiting:
            self.pump()

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
            self.write_control(frames.ping(payload, ack=True))

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
        self.limits.window_update(self.data_frames_sent)
        if not stream_id:
            if not increment:
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "WINDOW_UPDATE: window_size_increment == 0", told=False)
            self.send_window += increment
            if self.send_window > frames.MAX_WINDOW:
                raise ConnectionBroken(frames.FLOW_CONTROL_ERROR, told=False)
            self.pump()
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            if self._is_idle(stream_id):
                raise ConnectionBroken(frames.PROTOCOL_ERROR, "WINDOW_UPDATE to idle stream", told=False)
            return
        if not increment:
            raise ConnectionBroken(frames.PROTOCOL_ERROR, "WINDOW_UPDATE: window_size_increment == 0", told=False)
        stream.send_window += increment
        if stream.send_window > frames.MAX_WINDOW:
            self._reset(stream, frames.FLOW_CONTROL_ERROR, "http2.flow_control")
        elif stream.queue is not None:
            self.pump()


def _unpad(payload: bytes, kind: str) -> bytes:
    if not payload:
        raise ConnectionBroken(frames.FRAME_SIZE_ERROR)
    padding = payload[0]
    if padding >= len(payload):
        raise ConnectionBroken(frames.PROTOCOL_ERROR, f"{kind}: invalid padding")
    return payload[1 : len(payload) - padding]


_HANDLERS: tuple[Any, ...] = (
    Http2Connection._on_data, Http2Connection._on_headers, Http2Connection._on_priority,
    Http2Connection._on_rst_stream, Http2Connection._on_settings, Http2Connection._on_push_promise,
    Http2Connection._on_ping, Http2Connection._on_goaway, Http2Connection._on_window_update,
    Http2Connection._on_continuation,
)  # fmt: skip
