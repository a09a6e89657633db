"""The flush: at every interval, what there is to tell goes to all sinks, in slices of work."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Protocol

from meshproxy.net.slices import Turns
from meshproxy.observe.sinks.statsd import Timings
from meshproxy.observe.snapshot import Part, Snapshot
from meshproxy.observe.stats import Registry, SampledHistogram

_log = logging.getLogger("stats")


class _Closes(Protocol):
    def close(self) -> None: ...


class Sink(Protocol):
    """Both give back control now and then; `new`: by how much counters grew since the last flush."""

    @property
    def writer(self) -> _Closes: ...
    def send_timings(self, timings: Iterable[Timings]) -> Iterator[None]: ...
    def send_numbers(self, snapshot: Snapshot, new: dict[str, int]) -> Iterator[None]: ...


class StatsFlush:
    """parts, timings: those of the whole proxy, once `refresh` has asked the workers."""

    def __init__(
        self, sinks: list[Sink], refresh: Callable[[], Awaitable[None]], parts: Callable[[], Iterator[Part]],
        timings: Callable[[], Awaitable[list[Timings]]],
    ) -> None:  # fmt: skip
        self._sinks = sinks
        self._refresh = refresh
        self._parts = parts
        self._timings = timings
        # What counters had when they were last sent; those that are 0 are not kept.
        self._sent: dict[str, int] = {}
        self._turns = Turns()
        self._flushing = False

    async def run(self, interval: float) -> None:
        """For ever, every `interval` seconds."""
        while True:
            await asyncio.sleep(interval)
            await self.flush()

    async def flush(self) -> bool:
        """False where the one before is not done yet: then there is none."""
        if self._flushing:
            return False
        self._flushing = True
        try:
            await self._refresh()
            timings = await self._timings()
            async for _ in self._turns.slices(self._work(timings)):
                pass
        except Exception:
            _log.exception("stats could not be flushed")
        finally:
            self._flushing = False
        return True

    def close(self) -> None:
        for sink in self._sinks:
            sink.writer.close()

    def _work(self, timings: list[Timings]) -> Iterator[None]:
        snapshot = Snapshot()
        for part in self._parts():
            snapshot.add(*part)
            yield
        new: dict[str, int] = {}
        for part in snapshot.parts():
            for name, value in _counters(part):
                before = self._sent.get(name, 0)
                # Smaller than before: somebody has set it back.
                new[name] = value - before if value >= before else value
                self._sent[name] = value
            yield
        for sink in self._sinks:
            yield from sink.send_timings(timings)
            yield from sink.send_numbers(snapshot, new)


def _counters(part: Part) -> Iterator[tuple[str, int]]:
    """Those that are not 0."""
    (prefix, cls), taken = part
    begin = f"{prefix}." if prefix else ""
    if any(taken.numbers):
        for kind, name, value in zip(cls.KINDS, cls.NUMBERS, taken.numbers, strict=True):
            if value and kind == "counter":
                yield begin + name, value
    for (kind, name), more in taken.more.items():
        if kind == "counter" and isinstance(more, int) and more:
            yield begin + name, more


def take_timings(registry: Registry) -> Iterator[list[Timings]]:
    """What histograms have kept of their values since they were last asked, group by group."""
    for key, group in registry.entries():
        found = [(name, getattr(group, name)) for name in group.HISTOGRAMS]
        found += [(name, value) for kind, name, value in group.more() if kind == "histogram"]
        kept = [(name, value) for name, value in found if isinstance(value, SampledHistogram) and value.fresh]
        # Some are sums of others, so that all are read before any is emptied.
        timings = [(key, name, dict(histogram.fresh)) for name, histogram in kept]
        for _, histogram in kept:
            histogram.fresh.clear()
        yield timings
