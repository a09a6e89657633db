"""Entries of an access log that a service takes in batches: over one gRPC stream that stays open, or in a call each.

Source: Envoy's Common::GrpcAccessLogger. As there, a batch that cannot be sent is kept until it is full, and what comes
beyond that is dropped and counted; a stream that ended is opened anew with the next batch.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection

from meshproxy.net.tasks import start_task
from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.grpc_client import GrpcClient, GrpcError, GrpcStream

_log = logging.getLogger("stats")

# How long a stop waits for services to take the last entries.
_PATIENCE = 1.0
# Calls that are not answered yet; past them batches are kept.
_CALLS = 16


class LogBatchStats(StatGroup):
    """`access_logs.grpc_access_log.*` and its like, of all loggers of a kind together."""

    COUNTERS = ("grpc_entries_flush_failed", "grpc_entries_flushed", "logs_dropped", "logs_written")

    __slots__ = COUNTERS


class LogBatch:
    """interval: seconds after which a batch is sent in any case. limit: bytes of entries that make it full; 0 sends
    each at once."""

    def __init__(self, interval: float, limit: int, stats: LogBatchStats) -> None:
        self._interval = interval
        self._limit = limit
        self._stats = stats
        self._entries: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def send(self, entries: list[bytes]) -> bool:
        """False where they are to be kept: there is no room for them at the moment."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """After `close`: whether the service has taken all that it was sent."""
        raise NotImplementedError

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
        """Sends what there is, unless there is no room for it."""
        if self._entries and self.send(self._entries):
            self._entries = []
            self._size = 0

    def close(self) -> None:
        """Sends what there is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()
        if self._entries:
            self._timer = asyncio.get_running_loop().call_later(self._interval, self._on_timer)


async def close_all(batches: Collection[LogBatch]) -> None:
    """A service that does not take the last entries is not waited for."""
    for batch in batches:
        batch.close()
    deadline = time.monotonic() + _PATIENCE
    while not all(batch.closed for batch in batches) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)


class LogStream(LogBatch):
    """wrap: makes the message of a batch; its second argument says whether it is the first of its stream."""

    def __init__(
        self, client: GrpcClient, path: str, wrap: Callable[[list[bytes], bool], bytes], interval: float, limit: int,
        stats: LogBatchStats,
    ) -> None:  # fmt: skip
        super().__init__(interval, limit, stats)
        self._client = client
        self._path = path
        self._wrap = wrap
        self._stream: GrpcStream | None = None
        # Whether it was said that entries are lost, and no stream has lived since.
        self._failing = False

    def send(self, entries: list[bytes]) -> bool:
        stream = self._stream
        first = stream is None or stream.over
        if stream is not None and first and stream.message:
            self._warn(stream.message)
        if stream is None or first:
            stream = self._stream = self._client.stream(self._path, timeout=0)
        if stream.over:
            # There is nobody to take them.
            self._stats.grpc_entries_flush_failed += len(entries)
            self._warn(stream.message)
            return True
        if not first and not stream.unsent:
            self._failing = False
        if stream.blocked or stream.unsent > max(self._limit, 1):
            return False
        stream.send(self._wrap(entries, first))
        self._stats.grpc_entries_flushed += len(entries)
        return True

    def _warn(self, why: str) -> None:
        if not self._failing:
            self._failing = True
            _log.warning("log entries to cluster '%s' are lost: %s", self._client.cluster_name, why)

    @property
    def closed(self) -> bool:
        return self._stream is None or self._stream.over

    def close(self) -> None:
        """Sends what there is, and ends the stream."""
        super().close()
        if self._stream is not None:
            self._stream.end_sending()


class LogCalls(LogBatch):
    """wrap: makes the message of a batch."""

    def __init__(
        self, client: GrpcClient, path: str, wrap: Callable[[list[bytes]], bytes], interval: float, limit: int,
        stats: LogBatchStats,
    ) -> None:  # fmt: skip
        super().__init__(interval, limit, stats)
        self._client = client
        self._path = path
        self._wrap = wrap
        self._calls = 0
        self._failing = False

    def send(self, entries: list[bytes]) -> bool:
        if self._calls >= _CALLS:
            return False
        self._calls += 1
        start_task(self._call(self._wrap(entries), len(entries)), "log entries")
        return True

    @property
    def closed(self) -> bool:
        return not self._calls

    async def _call(self, message: bytes, count: int) -> None:
        try:
            await self._client.unary(self._path, message)
            self._failing = False
        except GrpcError as error:
            self._stats.grpc_entries_flush_failed += count
            if not self._failing:
                self._failing = True
                _log.warning("log entries to cluster '%s' are lost: %s", self._client.cluster_name, error.message)
        finally:
            self._calls -= 1
