"""At most so many connections at a time (envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit)."""

import asyncio
from collections.abc import Callable
from typing import Any

from meshproxy.api import Close, Connection, Count, NetworkFilter, StatGroup, Verdict

_TOO_MANY = Close(reason="over_connection_limit")


class ConnectionLimitStats(StatGroup):
    """`connection_limit.<stat_prefix>.*`."""

    COUNTERS = ("limited_connections",)
    GAUGES = ("active_connections",)

    __slots__ = (*COUNTERS, *GAUGES)


class ConnectionLimit(NetworkFilter):
    """delay: seconds that a connection that is too many is held, unread, before it is closed."""

    def __init__(self, count: Count, delay: float, enabled: Callable[[], bool]) -> None:
        self._count = count
        self._delay = delay
        self._enabled = enabled
        self.stats = ConnectionLimitStats()

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "ConnectionLimit":
        feature = config.runtime_enabled
        key, default = feature.runtime_key, feature.get("default_value", True)
        built = cls(
            ctx.counts.make(config.get("max_connections", 0)),
            config.get("delay", 0.0),
            lambda: bool(ctx.runtime.boolean(key, default)),
        )
        ctx.stats.add(f"connection_limit.{config.stat_prefix}", built.stats)
        return built

    def on_connection(self, connection: Connection) -> Verdict:
        stats = self.stats
        taken = self._count.take()
        if taken or not self._enabled():
            if not taken:
                self._count.add()
            stats.active_connections += 1
            return None
        stats.limited_connections += 1
        return self._close_later() if self._delay else _TOO_MANY

    def on_done(self, connection: Connection) -> None:
        self._count.give()
        self.stats.active_connections -= 1

    async def _close_later(self) -> Close:
        await asyncio.sleep(self._delay)
        return _TOO_MANY
