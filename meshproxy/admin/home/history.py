"""What was seen at earlier looks: rates are the difference of two looks, and nobody pays while nobody looks.

Histograms are kept of two looks only; of the others, up to `POINTS`, two numbers per cluster for the little charts.
"""

import math
from dataclasses import dataclass

from meshproxy.admin.home.readings import Count, Readings
from meshproxy.observe.quantiles import Counts, quantiles

POINTS = 40
# Seconds. Rates are taken over at least so long where there are looks enough, and charts have a point so often.
_WINDOW = 5.0
_POINT = 2.0
# A chart does not bridge a time in which nobody looked.
_GAP = 60.0


@dataclass(slots=True)
class Rate:
    """`done` per second and how much of it failed (0 to 1); quantiles in milliseconds, NaN where nothing was timed."""

    done: float
    failed: int
    share: float
    p50: float
    p90: float
    p99: float


@dataclass(slots=True)
class _Look:
    at: float
    readings: Readings


class Window:
    """From one look to another. `live`: False where there is no earlier look, so that it begins with the process."""

    def __init__(self, before: Readings, now: Readings, seconds: float, live: bool) -> None:
        self._before = before
        self._now = now
        self.seconds = seconds
        self.live = live

    def rate(self, *names: str) -> Rate:
        """Of the counts with these names, added up."""
        done = failed = 0
        times: Counts = {}
        for name in names:
            now, before = self._now.get(name), self._before.get(name)
            if now is None:
                continue
            if before is None or before.done > now.done:
                # New, or counted from 0 again since an operator reset it.
                before = Count()
            done += now.done - before.done
            failed += max(0, now.failed - before.failed)
            for value, count in now.times.items():
                more = count - before.times.get(value, 0)
                if more > 0:
                    times[value] = times.get(value, 0) + more
        p50, p90, p99 = quantiles(times, (0.5, 0.9, 0.99))
        return Rate(done / self.seconds, failed, min(1.0, failed / done) if done else 0.0, p50, p90, p99)


class History:
    """Looks at one proxy. Times are those of a monotonic clock."""

    def __init__(self) -> None:
        self._before: _Look | None = None
        self._current: _Look | None = None
        # (when, name -> (done, failed))
        self._points: list[tuple[float, dict[str, tuple[int, int]]]] = []

    def look(self, readings: Readings, now: float, age: float) -> Window:
        """Takes a look. `age`: seconds since the process began."""
        base = self._before or self._current
        if self._current is None or now - self._current.at >= _WINDOW:
            self._before, self._current = self._current, _Look(now, readings)
            base = self._before
        self._add_point(readings, now)
        if base is None or now - base.at < 0.5:
            return Window({}, readings, max(age, 0.001), live=False)
        return Window(base.readings, readings, now - base.at, live=True)

    def trend(self, name: str) -> list[tuple[float, float]]:
        """(done, failed) per second between the points, oldest first."""
        found = []
        for (start, before), (end, now) in zip(self._points, self._points[1:], strict=False):
            done, failed = now.get(name, (0, 0))
            done_before, failed_before = before.get(name, (0, 0))
            seconds = end - start
            found.append((max(0, done - done_before) / seconds, max(0, failed - failed_before) / seconds))
        return found

    def _add_point(self, readings: Readings, now: float) -> None:
        points = self._points
        last = points[-1][0] if points else -math.inf
        if now - last > _GAP:
            points.clear()
        if not points or now - last >= _POINT:
            points.append((now, {name: (count.done, count.failed) for name, count in readings.items()}))
            del points[:-POINTS]
