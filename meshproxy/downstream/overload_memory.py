"""What gives memory back under overload: streams that hold much are reset, and what is free goes to the system."""

import asyncio
import ctypes
import gc

from meshproxy.downstream.overload import Overload
from meshproxy.http.stream import Stream
from meshproxy.observe.stats import StatGroup

# Of streams, by what they hold: each class holds twice as much as the one below it.
_CLASSES = 8
_MOST_RESETS = 50
_SHRINK_SECONDS = 1.0


class ResetStats(StatGroup):
    """`envoy.overload_actions.reset_high_memory_stream.*`."""

    COUNTERS = ("count",)

    __slots__ = COUNTERS


class ShrinkStats(StatGroup):
    """`overload.envoy.overload_actions.shrink_heap.*`."""

    COUNTERS = ("shrink_count",)

    __slots__ = COUNTERS


def reset_largest(overload: Overload, pressure: float, stats: ResetStats) -> None:
    """reset_high_memory_stream: the streams that hold the most, of so many classes as the pressure says."""
    least = overload.least_memory
    servers = [server for manager in overload.managers for server in manager.connections]
    streams = [stream for server in servers for stream in server.exchanges()]
    found = [(held, stream) for stream in streams if (held := _held(stream)) >= least]
    found.sort(key=lambda pair: pair[0], reverse=True)
    classes = min(int(pressure * _CLASSES) + 1, _CLASSES)
    for held, stream in found[:_MOST_RESETS]:
        if min((held // least).bit_length() - 1, _CLASSES - 1) < _CLASSES - classes:
            continue
        stats.count += 1
        stream.add_flag("OM")
        stream.reset()


def _held(stream: Stream) -> int:
    """Bytes that wait here for one exchange: to be written to its client, or for a filter."""
    holds = [hold.size for hold in (stream.request_hold, stream.response_hold) if hold is not None]
    unsent: int = stream.server.carrier.unsent_of(stream)
    return sum(holds, unsent)


class Shrinker:
    """shrink_heap: at once, and again and again as long as the action is in force."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._active = False
        self.stats = ShrinkStats()
        self.stats.shrink_count = 0

    def act(self, value: float) -> None:
        was_active, self._active = self._active, value >= 1
        if self._active and not was_active:
            self._shrink()

    def _shrink(self) -> None:
        if not self._active:
            return
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        self.stats.shrink_count += 1
        self._loop.call_later(_SHRINK_SECONDS, self._shrink)
