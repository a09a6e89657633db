"""What a peer may make us do on one connection before it counts as an attack (Envoy's ProtocolConstraints)."""

from typing import TYPE_CHECKING, Any

from meshproxy.http.h2.errors import Flood

if TYPE_CHECKING:
    from meshproxy.http.h2.options import Http2Options
    from meshproxy.http.h2.stats import Http2Stats

# WINDOW_UPDATE frames that are free in the life of a connection.
_FREE_UPDATES = 5
_GAPS_KNOWN = 16


class Limits:
    """Counts per connection. A method raises Flood past its limit."""

    __slots__ = ("_gaps", "_options", "_priorities", "_stats", "_updates", "control", "empty_frames", "heads_blocked")

    def __init__(self, options: "Http2Options", stats: "Http2Stats") -> None:
        self._options = options
        self._stats = stats
        # Frames in a row that carry nothing.
        self.empty_frames = 0
        # Numbers of streams that the peer has left out.
        self._gaps: list[range] = []
        # Control frames that were written since the socket had taken everything; who reads looks when it has.
        self.control = self._priorities = self._updates = 0
        # Heads that were written since the socket takes no more.
        self.heads_blocked = 0

    def stream_opened(self, last: int, stream_id: int) -> None:
        """The peer opens a stream; `last` was the number of the one before it."""
        if stream_id > last + 2 and len(self._gaps) < _GAPS_KNOWN:
            self._gaps.append(range(last + 1, stream_id))

    def skips(self, stream_id: int) -> bool:
        """Whether the peer has passed over this number, which it may not use any more."""
        return any(stream_id in gap for gap in self._gaps)

    def control_frame(self) -> None:
        """We write one more frame that is no data and no head, as an answer to what is being read."""
        if self.is_one_too_many():
            raise Flood("Too many control frames in the outbound queue.")

    def is_one_too_many(self) -> bool:
        """The same where nobody could catch it."""
        self.control += 1
        if self.control <= self._options.max_outbound_control_frames:
            return False
        self._stats.outbound_control_flood += 1
        return True

    def is_head_too_many(self) -> bool:
        """We write one more head to a socket that takes no more."""
        self.heads_blocked += 1
        if self.heads_blocked <= self._options.max_outbound_frames:
            return False
        self._stats.outbound_flood += 1
        return True

    def empty_frame(self, stream: Any) -> None:
        self.empty_frames += 1
        if self.empty_frames > self._options.max_empty_frames:
            self._stats.inbound_empty_frames_flood += 1
            raise Flood("http2.inbound_empty_frames_flood", stream)

    def priority_frame(self, streams: int) -> None:
        """streams: how many are open."""
        self._priorities += 1
        if self._priorities > self._options.max_priority_frames * (1 + streams):
            self._stats.inbound_priority_frames_flood += 1
            raise Flood("Too many PRIORITY frames")

    def window_update(self, streams: int, data_frames_sent: int) -> None:
        self._updates += 1
        allowed = streams + self._options.max_window_updates * data_frames_sent
        if self._updates > _FREE_UPDATES + 2 * allowed:
            self._stats.inbound_window_update_frames_flood += 1
            raise Flood("Too many WINDOW_UPDATE frames")
