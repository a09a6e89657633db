"""Measures resources, and says what is to be done about them (Envoy's OverloadManager).

With workers this is main's: it measures the whole proxy, and workers are told what is in force.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from meshproxy.downstream.overload import ActionStats, Overload, ShedPoint
from meshproxy.observe.stats import StatGroup

_log = logging.getLogger("main")


class ResourceStats(StatGroup):
    """`overload.<resource>.*`."""

    COUNTERS = ("failed_updates", "skipped_updates")
    GAUGES = ("pressure",)

    __slots__ = (*COUNTERS, *GAUGES)


class RefreshStats(StatGroup):
    """`overload.refresh_interval_delay`: milliseconds between two measures."""

    HISTOGRAMS = ("refresh_interval_delay",)

    __slots__ = HISTOGRAMS


class Monitor(Protocol):
    """How much of a resource is in use, 1.0 for all of it. Raises OSError or ValueError where that cannot be told."""

    def pressure(self) -> float: ...


class Resource:
    __slots__ = ("_failed", "monitor", "name", "pressure", "stats")

    def __init__(self, name: str, monitor: Monitor) -> None:
        self.name = name
        self.monitor = monitor
        self.stats = ResourceStats()
        self.stats.pressure = 0
        self.pressure = 0.0
        self._failed = False

    def update(self) -> None:
        """One that cannot be measured keeps the pressure that it had."""
        try:
            self.pressure = self.monitor.pressure()
        except (OSError, ValueError) as error:
            self.stats.failed_updates += 1
            if not self._failed:
                _log.warning("Failed to update resource %s: %s", self.name, error)
            self._failed = True
            return
        self._failed = False
        self.stats.pressure = int(self.pressure * 100)


@dataclass(frozen=True, slots=True)
class Trigger:
    """In force a little from `scaling` on, and fully from `saturation` on. A threshold is both."""

    resource: Resource
    scaling: float
    saturation: float

    def value(self) -> float:
        pressure = self.resource.pressure
        if pressure >= self.saturation:
            return 1.0
        if pressure <= self.scaling:
            return 0.0
        return (pressure - self.scaling) / (self.saturation - self.scaling)


class OverloadManager:
    """`triggers`: of every action and load shed point, by name; the strongest decides. interval: seconds."""

    def __init__(self, overload: Overload) -> None:
        self.overload = overload
        self.interval = 1.0
        self.resources: list[Resource] = []
        self.triggers: dict[str, list[Trigger]] = {}
        self.stats: dict[str, ActionStats] = {}
        self.refresh_stats = RefreshStats()
        self._tell: Callable[[dict[str, float]], None] = _nobody
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._last = 0.0

    def start(self, loop: asyncio.AbstractEventLoop, tell: Callable[[dict[str, float]], None]) -> None:
        """Measures from now on. tell: called with what has changed."""
        if self.resources:
            self._loop = loop
            self._tell = tell
            self._last = loop.time()
            self.refresh()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def refresh(self) -> None:
        assert self._loop is not None, "it was started"
        now = self._loop.time()
        if now > self._last:
            self.refresh_stats.refresh_interval_delay.record(round((now - self._last) * 1000))
        self._last = now
        for resource in self.resources:
            resource.update()
        changed = {name: value for name, value in self._values() if value != self.overload.actions[name].value}
        if changed:
            self._show(changed)
            self.overload.put(changed)
            self._tell(changed)
        self._timer = self._loop.call_later(self.interval, self.refresh)

    def _values(self) -> list[tuple[str, float]]:
        return [(name, max(trigger.value() for trigger in triggers)) for name, triggers in self.triggers.items()]

    def _show(self, changed: dict[str, float]) -> None:
        for name, value in changed.items():
            action = self.overload.actions[name]
            if isinstance(action, ShedPoint):
                action.stats.scale_percent = int(value * 100)
                continue
            stats = self.stats[name]
            if (value >= 1) != bool(stats.active):
                _log.info("Overload action %s became %s", name, "saturated" if value >= 1 else "not saturated")
            stats.active = int(value >= 1)
            stats.scale_percent = int(value * 100)


def _nobody(_changed: dict[str, float]) -> None:
    """There are no workers."""
