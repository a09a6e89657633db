"""When the stats of the whole proxy go to its sinks (Bootstrap.stats_sinks, stats_flush_interval)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.net.tasks import start_task
from meshproxy.observe.sinks.flush import StatsFlush
from meshproxy.observe.sinks.statsd import Timings
from meshproxy.observe.snapshot import Part

_INTERVAL = 5.0


class Flushes:
    """Does nothing where no sink is configured."""

    def __init__(self) -> None:
        self._flush: StatsFlush | None = None
        # Seconds between two; 0 where only /stats flushes.
        self._interval = 0.0
        self._running: asyncio.Task[Any] | None = None

    def build(
        self, view: View, ctx: Context, refresh: Callable[[], Awaitable[None]], parts: Callable[[], Iterator[Part]],
        timings: Callable[[], Awaitable[list[Timings]]],
    ) -> None:  # fmt: skip
        """view: the bootstrap; the others as StatsFlush has them. Raises ConfigError."""
        self._interval = view.get("stats_flush_interval", _INTERVAL)
        if view.which("stats_flush") == "stats_flush_on_admin":
            if view.stats_flush_interval is not None:
                view.reject(
                    "stats_flush_on_admin", "Only one of stats_flush_interval or stats_flush_on_admin should be set!"
                )
            self._interval = 0.0
        if view.stats_sinks:
            from meshproxy.config.build_stats_sinks import build_stats_sinks  # few have any

            self._flush = StatsFlush(build_stats_sinks(view, ctx), refresh, parts, timings)

    def start(self) -> None:
        if self._flush is not None and self._interval:
            self._running = start_task(self._flush.run(self._interval), "stats flush")

    def asked(self) -> None:
        """Somebody looks at /stats."""
        if self._flush is not None and not self._interval:
            start_task(self._flush.flush(), "stats flush")

    async def stop(self) -> None:
        """Once more, so that sinks have all that was counted."""
        running, self._running = self._running, None
        if self._flush is not None and running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await self._flush.flush()
            self._flush.close()
