"""Whether a process still turns its loop: Envoy's watchdogs, which count stalls, and end a process that hangs.

Every process watches itself. A stall is counted when it is over; one that does not end is ended by a thread of C that
needs no interpreter (faulthandler), with the Python traceback of what hangs. A worker is then replaced.
"""

import asyncio
import faulthandler
import random
import sys
from dataclasses import dataclass

from meshproxy.observe.server_stats import WatchdogStats


@dataclass(frozen=True, slots=True)
class WatchdogSettings:
    """Seconds; kill 0 for never. jitter: up to so much is added to kill. envoy.config.bootstrap.v3.Watchdog."""

    miss: float = 0.2
    mega_miss: float = 1.0
    kill: float = 0.0
    jitter: float = 0.0


class Watchdog:
    """Beats twice in the time that would be a miss."""

    def __init__(self, settings: WatchdogSettings, stats: WatchdogStats) -> None:
        self._settings = settings
        self._stats = stats
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beat_seconds = min(settings.miss, settings.mega_miss) / 2
        self._kill = settings.kill + random.uniform(0, settings.jitter) if settings.kill else 0.0
        self._last = 0.0
        self._armed = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last = loop.time()
        self._arm(self._last)
        self._timer = loop.call_later(self._beat_seconds, self._beat)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._kill:
            faulthandler.cancel_dump_traceback_later()

    def _beat(self) -> None:
        assert self._loop is not None, "it was started"
        now = self._loop.time()
        quiet, self._last = now - self._last, now
        if quiet > self._settings.miss:
            self._stats.watchdog_miss += 1
        if quiet > self._settings.mega_miss:
            self._stats.watchdog_mega_miss += 1
        if self._kill and now - self._armed >= self._kill / 4:
            self._arm(now)
        self._timer = self._loop.call_later(self._beat_seconds, self._beat)

    def _arm(self, now: float) -> None:
        """It is armed anew at every quarter of the time, so a quarter is added."""
        if self._kill:
            self._armed = now
            faulthandler.dump_traceback_later(self._kill * 1.25, exit=True, file=sys.stderr)
