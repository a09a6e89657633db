"""What an HTTP/2 connection is at either end, without what it reads: settings, streams, windows, writing (RFC 9113)."""

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from meshproxy.http.h2 import frames
from meshproxy.http.h2.errors import ConnectionBroken, Flood
from meshproxy.http.h2.heads import parse_trailers
from meshproxy.http.h2.hpack_decoder import HpackDecoder
from meshproxy.http.h2.hpack_encoder import HpackEncoder
from meshproxy.http.h2.limits import Limits
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Pair

if TYPE_CHECKING:
    from meshproxy.http.h2.options import Http2Options
    from meshproxy.http.h2.stats import Http2Stats

# A head with so many times as many headers as are allowed is not merely too large.
_FACTOR = 5
# Seconds for what a peer has sent already: as long as it is told nothing, its frames are judged as those of any stream.
_GRACE = 0.01
# Bytes that wait at most to leave together.
_MOST_HELD = 64 * 1024


class Http2Link(asyncio.Protocol):
    """The part of `Http2Connection` that streams and sides write to."""

    __slots__ = (
        "_answered", "_block", "_buffer", "_last_served", "_no_priorities", "_out", "_reading", "_reset_here",
        "_settings_acked", "_soon", "_started", "_unwritten", "blocked", "buffer_limit", "client", "closed_here",
        "closing", "credit", "data_frames_sent", "decoder", "encoder", "goaway_received", "goaway_sent",
        "last_opened", "last_peer", "limits", "options", "peer_allows_connect", "peer_frame_size", "peer_max_streams",
        "peer_window", "receive_window", "send_window", "stats", "streams", "transport", "waiting",
    )  # fmt: skip

    def __init__(self, options: "Http2Options", stats: "Http2Stats", buffer_limit: int, client: bool) -> None:
        self.options = options
        self.stats = stats
        self.buffer_limit = min(buffer_limit, options.initial_stream_window) or options.initial_stream_window
        self.client = client
        self.transport: Any = None
        self.streams: dict[int, Http2Stream] = {}
        # Streams with something in their queue that their own windows let go, in the order in which it is their turn.
        self.waiting: OrderedDict[Http2Stream, None] = OrderedDict()
        self.decoder = HpackDecoder(options.max_headers * _FACTOR)
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
        # What leaves together; how much it is, and whether somebody was asked to see to it.
        self._out: list[bytes] = []
        self._unwritten = 0
        self._soon = False
        self._reading = False
        # The client has sent its preface; servers have none.
        self._started = client
        # A header block that is not complete: its stream's number, its stream if it is served, flags, and pieces.
        self._block: tuple[int, Http2Stream | None, int, list[bytes]] | None = None
        # Streams of which we have sent all, and the rest of which nobody wants.
        self._answered: list[Http2Stream] = []
        # Streams that we have reset lately.
        self._reset_here: dict[int, None] = {}
        # SETTINGS_NO_RFC7540_PRIORITIES, which may not change; None until the first SETTINGS came.
        self._no_priorities: int | None = None

    # ---- for sides to override ----

    def make_stream(self, stream_id: int) -> Http2Stream:
        """The peer opens a stream."""
        raise NotImplementedError

    def parse_head(self, pairs: list[Pair]) -> Any:
        """What `on_headers` of streams is given; MessageInvalid where the pairs are no head."""
        raise NotImplementedError

    def parse_trailers(self, pairs: list[Pair]) -> list[Pair]:
        """What `on_trailers` of streams is given; MessageInvalid where the pairs are no trailers."""
        return parse_trailers(pairs, self.options)

    def on_settings(self) -> None:
        """The peer's settings are known, or have changed."""

    def on_head_started(self, stream: Http2Stream) -> None:
        """Some of a head has come, and more must follow."""

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
        self._drop_unwritten()
        self.waiting.clear()
        self.on_closed(error)

    def pause_writing(self) -> None:
        self.blocked = True
        for stream in list(self.streams.values()):
            stream.judge_queue()

    def resume_writing(self) -> None:
        self.blocked = False
        self.limits.heads_blocked = 0
        self.pump()
        for stream in list(self.streams.values()):
            stream.judge_queue()

    # ---- writing ----

    def write(self, data: bytes) -> None:
        """Bytes of whole frames. They leave with all that this read causes, or this turn of the event loop.

        A write to a socket costs 10 to 20 µs, and streams that share a connection often have their turn together.
        """
        self._out.append(data)
        self._unwritten += len(data)
        if self._unwritten > _MOST_HELD:
            self.flush()
        elif not self._reading and not self._soon:
            self._soon = True
            self.flush_soon()

    def flush_soon(self) -> None:
        """Asks for `flush_now` once everything has happened that happens in this turn."""
        asyncio.get_running_loop().call_soon(self.flush_now)

    def flush_now(self) -> None:
        self._soon = False
        self.flush()

    def write_answer(self, data: bytes) -> None:
        """One frame that answers what is being read: a peer that makes us write too many of them is flooding."""
        self.limits.control_frame()
        self.write(data)

    def write_reset(self, data: bytes) -> None:
        """RST_STREAM, from wherever it is called; these count too, until the socket has taken them."""
        self.write(data)
        limits = self.limits
        if limits.control and not self._reading and not self.transport.get_write_buffer_size():
            # A peer that says nothing may read all the same: an upstream that hangs is no attack.
            limits.control = 0
        if limits.is_one_too_many():
            self.end_soon(Flood("Too many control frames in the outbound queue."))

    def head_blocked(self) -> None:
        """A head is written although the socket takes no more: it needs no window, and must be limited otherwise."""
        if self.limits.is_head_too_many():
            self.end_soon(Flood("Too many frames in the outbound queue."))

    def end_soon(self, error: ConnectionBroken) -> None:
        """Ends the connection, but not in the middle of what goes on."""
        asyncio.get_running_loop().call_soon(self._end_now, error)

    def _end_now(self, error: ConnectionBroken) -> None:
        if not self.closing:
            self._break(error, len(self._out))
            self.flush()

    def _break(self, error: ConnectionBroken, before: int) -> None:
        """before: how much waited to be written when the read began."""
        self._buffer = b""
        if error.told:
            # Envoy's library sends it, and Envoy counts only what it sends itself.
            self.goaway_sent = True
            self.write(frames.goaway(self.last_peer, error.code, error.reason.encode()))
        else:
            # As in Envoy, which gives up in the middle of a read: what that has caused is not sent any more.
            self._drop_unwritten(before)
        self.on_broken(error)

    def write_later(self, data: bytes) -> None:
        """Bytes that leave with the next ones, in front of them."""
        self._out.append(data)
        self._unwritten += len(data)

    def flush(self) -> None:
        out = self._out
        if out and not self.closing:
            data = out[0] if len(out) == 1 else b"".join(out)
            self._drop_unwritten()
            self.count_sent(len(data))
            self.transport.write(data)

    def _drop_unwritten(self, since: int = 0) -> None:
        """since: how many of the pieces stay."""
        del self._out[since:]
        self._unwritten = sum(map(len, self._out)) if since else 0

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

    def note_reset(self, stream: Http2Stream) -> None:
        """We have reset it: what the peer has sent before it knows comes to nobody."""
        resets = self._reset_here
        if len(resets) > self.options.max_concurrent_streams:
            del resets[next(iter(resets))]
        resets[stream.id] = None

    def tell_to_stop(self, stream: Http2Stream) -> None:
        """The peer need not send the rest of a stream (RFC 9113 §8.1)."""
        if self._block is not None and self._block[1] is stream:
            # Not even its head was complete in time: what follows of that is no trailers.
            stream.write_reset(frames.NO_ERROR)
            return
        if not self._answered:
            self.reset_soon()
        self._answered.append(stream)

    def reset_soon(self) -> None:
        """Asks for `reset_answered` once what is under way has come."""
        asyncio.get_running_loop().call_later(_GRACE, self.reset_answered)

    def reset_answered(self) -> None:
        answered, self._answered = self._answered, []
        if not self.closing:
            for stream in answered:
                stream.write_reset(frames.NO_ERROR)

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
        while waiting and not self.blocked:
            stream = next(iter(waiting))
            if not stream.pump():
                if stream.send_window > 0:
                    # It is the window of the connection that is used up.
                    return
                # Until its own window opens there is no need to ask it again.
                del waiting[stream]
            elif stream in waiting:
                waiting.move_to_end(stream)
                stream.judge_queue()

    def pump_all(self) -> None:
        """The same where the windows of all streams may have become larger."""
        for stream in self.streams.values():
            if stream.queue is not None:
                self.waiting[stream] = None
        self.pump()
