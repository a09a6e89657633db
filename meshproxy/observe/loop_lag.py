"""How late the event loop is: what a connection waits for its turn while something else has the loop.

A timer that is due every 50 ms notes by how much it was late, in microseconds: 20 short turns a second. What holds the
loop for longer than that is always seen. Envoy's dispatcher stats are the neighbours of the histogram:
`server.dispatcher.loop_lag_us`, and `listener_manager.worker_<n>.dispatcher.loop_lag_us` for the loops that serve.
"""

import asyncio
import time
from collections.abc import Sequence

from meshproxy.observe.server_stats import DispatcherStats

PERIOD = 0.05


class LoopLag:
    """Of one loop; `groups` share what it finds."""

    def __init__(self, groups: Sequence[DispatcherStats]) -> None:
        self._histograms = [group.loop_lag_us for group in groups]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._again()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _again(self) -> None:
        assert self._loop is not None, "it was started"
        # The loop's own clock stands still while it is held.
        self._due = time.monotonic() + PERIOD
        self._timer = self._loop.call_later(PERIOD, self._look)

    def _look(self) -> None:
        late = max(0, int((time.monotonic() - self._due) * 1_000_000))
        for histogram in self._histograms:
            histogram.record(late)
        self._again()
