"""One stream of an HTTP/2 connection, at either end: its windows, what it still has to send, and its end.

Nothing is written behind a head, data or trailers that wait: what cannot go at once is queued in order. A queue that
holds more than the connection's `buffer_limit` tells its side to stop (`on_write_paused`) until half of it is gone.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from meshproxy.http.h2 import frames
from meshproxy.http.headers import Pair

if TYPE_CHECKING:
    from meshproxy.http.h2.connection import Http2Connection


class Http2Stream:
    """Sides derive from it and override the `on_…` methods."""

    __slots__ = (
        "connection", "content_left", "credit", "early", "headers_received", "held", "id", "local_closed", "pauses",
        "queue", "queued", "receive_window", "remote_closed", "send_window", "write_paused",
    )  # fmt: skip

    # A response to HEAD says how long a body would be that does not come.
    bodiless = False

    def __init__(self, connection: "Http2Connection", stream_id: int) -> None:
        self.connection = connection
        self.id = stream_id
        self.send_window = connection.peer_window
        self.receive_window = connection.options.initial_stream_window
        # Of what was received: consumed but not yet given back to the peer's window, and held back while paused.
        self.credit = self.held = 0
        self.pauses = 0
        # What waits to be sent: data with its end, or trailers.
        self.queue: deque[tuple[bytes, bool] | list[Pair]] | None = None
        self.queued = 0
        self.write_paused = False
        # Bytes that content-length promises; -1 where it promises nothing.
        self.content_left = -1
        self.headers_received = self.local_closed = self.remote_closed = False
        # The peer is to stop sending as soon as it has all of ours.
        self.early = False

    @property
    def closed(self) -> bool:
        return self.local_closed and self.remote_closed

    # ---- towards the peer ----

    def write_headers(self, pairs: list[Pair], end: bool) -> None:
        """A head, the pseudo headers in front."""
        if self.local_closed:
            return
        connection = self.connection
        if connection.blocked:
            connection.head_blocked()
        block = connection.encoder.encode(pairs)
        connection.write(frames.headers(self.id, block, end, connection.peer_frame_size))
        if end:
            self._sent_all()

    def write_message(self, pairs: list[Pair], body: bytes) -> None:
        """A head and the whole of its body, which is not empty, in one write where the windows allow it."""
        connection = self.connection
        size = len(body)
        if (
            size > self.send_window or size > connection.send_window or size > connection.peer_frame_size
            or connection.blocked or self.local_closed
        ):  # fmt: skip
            self.write_headers(pairs, False)
            self.write_data(body, True)
            return
        self.send_window -= size
        connection.send_window -= size
        connection.data_frames_sent += 1
        head = frames.headers(self.id, connection.encoder.encode(pairs), False, connection.peer_frame_size)
        connection.write(b"%b%b%b" % (head, frames.FRAME.pack(size << 8, frames.END_STREAM, self.id), body))
        self._sent_all()

    def write_data(self, data: bytes, end: bool) -> None:
        if self.local_closed:
            return
        connection = self.connection
        size = len(data)
        if (
            self.queue is None and size <= self.send_window and size <= connection.send_window
            and size <= connection.peer_frame_size and not connection.blocked
        ):  # fmt: skip
            if size or end:
                self._put_data(data, end)
            return
        if self.queue is None:
            self.queue = deque()
            connection.waiting[self] = None
        self.queue.append((data, end))
        self.queued += size
        connection.stats.pending_send_bytes += size
        connection.pump()
        self.judge_queue()

    def write_trailers(self, pairs: list[Pair]) -> None:
        if self.queue is not None:
            self.queue.append(pairs)
        else:
            self.write_headers(pairs, True)

    def write_reset(self, code: int) -> None:
        """Ends the stream from here, whatever it is at; nothing is told of it any more."""
        connection = self.connection
        if connection.streams.get(self.id) is not self:
            return
        self.local_closed = self.remote_closed = True
        connection.stats.tx_reset += 1
        connection.note_reset(self)
        connection.write_reset(frames.rst_stream(self.id, code))
        connection.forget(self)

    def end_early(self) -> None:
        """What we send is whole, and nobody wants more from the peer (RFC 9113 §8.1)."""
        self.early = True
        if self.local_closed:
            self.connection.tell_to_stop(self)

    def stop_reading(self) -> None:
        """Each pause needs a resume."""
        self.pauses += 1

    def start_reading(self) -> None:
        if self.pauses:
            self.pauses -= 1
            if not self.pauses and self.held:
                held, self.held = self.held, 0
                self.connection.consume(self, held)

    # ---- from the peer: for sides to override ----

    def on_headers(self, head: Any, end: bool) -> None:
        """A head, as the connection's `parse_head` made it; to be copied before it is changed."""

    def on_data(self, data: bytes, end: bool) -> None: ...
    def on_trailers(self, pairs: list[Pair]) -> None:
        """To be copied before they are changed."""

    def on_reset(self, code: int, remote: bool, details: str) -> None:
        """remote: by RST_STREAM; else it broke the protocol, or its connection is gone. details: Envoy's words."""

    def on_write_paused(self) -> None: ...
    def on_write_resumed(self) -> None: ...

    # ---- for the connection ----

    def pump(self) -> bool:
        """Sends the first frame of what waits; whether there was room for it."""
        queue = self.queue
        connection = self.connection
        if not queue:
            return False
        item = queue[0]
        if isinstance(item, list):
            self._unqueue()
            self.write_headers(item, True)
            return True
        data, end = item
        size = len(data)
        room = min(self.send_window, connection.send_window, connection.peer_frame_size)
        if size and size > room:
            if room <= 0:
                return False
            queue[0] = (data[room:], end)
            data, end, size = data[:room], False, room
        else:
            queue.popleft()
            if not queue:
                self._unqueue()
        self.queued -= size
        connection.stats.pending_send_bytes -= size
        if size or end:
            self._put_data(data, end)
        return True

    def judge_queue(self) -> None:
        """Tells the side when too much waits, and when no more."""
        connection = self.connection
        if self.write_paused:
            if not connection.blocked and self.queued <= connection.buffer_limit // 2:
                self.write_paused = False
                self.on_write_resumed()
        elif (connection.blocked or self.queued > connection.buffer_limit) and not self.local_closed:
            self.write_paused = True
            self.on_write_paused()

    def drop_queue(self) -> None:
        """What waits will never be sent."""
        if self.queue is not None:
            self._unqueue()
            self.connection.stats.pending_send_bytes -= self.queued
            self.queued = 0

    def _unqueue(self) -> None:
        self.queue = None
        self.connection.waiting.pop(self, None)

    def _put_data(self, data: bytes, end: bool) -> None:
        size = len(data)
        connection = self.connection
        self.send_window -= size
        connection.send_window -= size
        connection.data_frames_sent += 1
        connection.write(frames.FRAME.pack(size << 8, frames.END_STREAM if end else 0, self.id) + data)
        if end:
            self._sent_all()

    def _sent_all(self) -> None:
        self.local_closed = True
        if self.remote_closed:
            self.connection.forget(self)
        elif self.early:
            self.connection.tell_to_stop(self)
