"""Entries of an access log that a service takes in batches, over one gRPC stream that stays open.

Source: Envoy's Common::GrpcAccessLogger. As there, a batch that cannot be sent is kept until it is full, and what comes
beyond that is dropped and counted; a stream that ended is opened anew with the next batch.
"""

import asyncio
from collections.abc import Callable

from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.grpc_client import GrpcClient, GrpcStream


class LogStreamStats(StatGroup):
    """`access_logs.grpc_access_log.*`, of all loggers together."""

    COUNTERS = ("grpc_entries_flush_failed", "grpc_entries_flushed", "logs_dropped", "logs_written")

    __slots__ = COUNTERS


class LogStream:
    """wrap: makes the message of a batch; its second argument says whether it is the first of its stream.

    interval: seconds after which a batch is sent in any case. limit: bytes of entries that make a batch full; 0 sends
    each at once.
    """

    def __init__(
        self, client: GrpcClient, path: str, wrap: Callable[[list[bytes], bool], bytes], interval: float, limit: int,
        stats: LogStreamStats,
    ) -> None:  # fmt: skip
        self._client = client
        self._path = path
        self._wrap = wrap
        self._interval = interval
        self._limit = limit
        self._stats = stats
        self._entries: list[bytes] = []
        self._size = 0
        self._stream: GrpcStream | None = None
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entry: bytes) -> None:
        """One entry, serialised."""
        if self._limit and self._size >= self._limit:
            self.flush()
            if self._entries:
                self._stats.logs_dropped += 1
                return
        self._stats.logs_written += 1
        self._entries.append(entry)
        self._size += len(entry)
        if self._size >= self._limit:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._on_timer)

    def flush(self) -> None:
        """Sends what there is, unless the service takes no more at the moment."""
        if not self._entries:
            return
        stream = self._stream
        first = stream is None or stream.over
        if stream is None or first:
            stream = self._stream = self._client.stream(self._path, timeout=0)
        if stream.blocked or stream.unsent > max(self._limit, 1):
            self._stats.grpc_entries_flush_failed += len(self._entries)
            return
        entries, self._entries = self._entries, []
        self._size = 0
        if stream.over:
            # There is nobody to take them.
            self._stats.grpc_entries_flush_failed += len(entries)
            return
        stream.send(self._wrap(entries, first))
        self._stats.grpc_entries_flushed += len(entries)

    def close(self) -> None:
        """Sends what there is, and ends the stream."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        if self._stream is not None:
            self._stream.end_sending()

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()
        if self._entries:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._on_timer)
