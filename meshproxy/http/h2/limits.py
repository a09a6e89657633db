"""What a peer may make us do on one connection before it counts as an attack (Envoy's ProtocolConstraints)."""

from typing import TYPE_CHECKING, Any

from meshproxy.http.h2 import frames
from meshproxy.http.h2.errors import ConnectionBroken

if TYPE_CHECKING:
    from meshproxy.http.h2.options import Http2Options
    from meshproxy.http.h2.stats import Http2Stats

# WINDOW_UPDATE frames that are free in the life of a connection.
_FREE_UPDATES = 5
_GAPS_KNOWN = 16


class Limits:
    """Counts per connection. A method raises ConnectionBroken, which is not told to the peer, past its limit."""

    __slots__ = ("_control", "_gaps", "_options", "_priorities", "_stats", "_updates", "empty_frames", "streams_opened")

    def __init__(self, options: "Http2Options", stats: "Http2Stats") -> None:
        self._options = options
        self._stats = stats
        # Frames in a row that carry nothing.
        self.empty_frames = 0
        self.streams_opened = 0
        # Numbers of streams that the peer has left out.
        self._gaps: list[range] = []
        # Control frames that were written since the socket had taken everything.
        self._control = self._priorities = self._updates = 0

    def stream_opened(self, last: int, stream_id: int) -> None:
        """The peer opens a stream; `last` was the one before it."""
        self.streams_opened += 1
        if stream_id > last + 2 and len(self._gaps) < _GAPS_KNOWN:
            self._gaps.append(range(last + 1, stream_id))

    def skips(self, stream_id: int) -> bool:
        """Whether the peer has passed over this number, which it may not use any more."""
        return any(stream_id in gap for gap in self._gaps)

    def control_frame(self, transport: Any) -> None:
        """We write one more frame that is no data and no head."""
        self._control += 1
        if self._control > self._options.max_outbound_control_frames:
            if not transport.get_write_buffer_size():
                self._control = 1
                return
            self._stats.outbound_control_flood += 1
            raise _flood("Too many control frames in the outbound queue.")

    def empty_frame(self) -> None:
        self.empty_frames += 1
        if self.empty_frames > self._options.max_empty_frames:
            self._stats.inbound_empty_frames_flood += 1
            raise _flood("Too many consecutive frames with an empty payload")

    def priority_frame(self) -> None:
        self._priorities += 1
        if self._priorities > self._options.max_priority_frames * (1 + self.streams_opened):
            self._stats.inbound_priority_frames_flood += 1
            raise _flood("Too many PRIORITY frames")

    def window_update(self, data_frames_sent: int) -> None:
        self._updates += 1
        allowed = self.streams_opened + self._options.max_window_updates * data_frames_sent
        if self._updates > _FREE_UPDATES + 2 * allowed:
            self._stats.inbound_window_update_frames_flood += 1
            raise _flood("Too many WINDOW_UPDATE frames")


def _flood(reason: str) -> ConnectionBroken:
    return ConnectionBroken(frames.ENHANCE_YOUR_CALM, reason, told=False)
