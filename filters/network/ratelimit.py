"""Connections at a rate that a service decides on (envoy.extensions.filters.network.ratelimit.v3.RateLimit)."""

from collections.abc import Callable
from typing import Any

from meshproxy.api import (
    Close,
    Connection,
    ConnectionRecord,
    Fraction,
    NetworkFilter,
    StatGroup,
    Verdict,
    compile_format,
    wire_text,
)
from meshproxy.filters.ratelimit_service import RateLimitService, ServiceError, add

_ENABLED = Fraction(100, key="ratelimit.tcp_filter_enabled")
_ENFORCING = Fraction(100, key="ratelimit.tcp_filter_enforcing")
_METADATA = "envoy.filters.network.ratelimit"


class RateLimitStats(StatGroup):
    """`ratelimit.<stat_prefix>.*`."""

    COUNTERS = ("cx_closed", "error", "failure_mode_allowed", "ok", "over_limit", "total")
    GAUGES = ("active",)

    __slots__ = (*COUNTERS, *GAUGES)


class Pattern:
    """A descriptor of the configuration; the values of its entries may be formats."""

    __slots__ = ("entries",)

    def __init__(self, view: Any) -> None:
        self.entries: list[tuple[str, Callable[[Any], str]]] = []
        for i, entry in enumerate(view.entries):
            with view.at("entries", i):
                self.entries.append((wire_text(entry.key), compile_format(entry.value)))


class GlobalRateLimit(NetworkFilter):
    def __init__(self, config: Any, ctx: Any) -> None:
        self._domain: str = config.domain
        self._deny: bool = config.failure_mode_deny
        self._service = RateLimitService.build(config, ctx)
        self._patterns = []
        for i, view in enumerate(config.descriptors):
            with config.at("descriptors", i):
                view.ignore("limit", "hits_addend", "is_negative_hits", why="as in Envoy, only entries are read here")
                self._patterns.append(Pattern(view))
        self._is_on: Callable[[Fraction], bool] = ctx.runtime.enabled
        self.stats = RateLimitStats()
        ctx.stats.add(f"ratelimit.{config.stat_prefix}", self.stats)

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "GlobalRateLimit":
        return cls(config, ctx)

    def on_connection(self, connection: Connection) -> Verdict:
        return self._decide(connection) if self._is_on(_ENABLED) else None

    async def _decide(self, connection: Connection) -> Close | None:
        stats = self.stats
        stats.total += 1
        stats.active += 1
        try:
            answer = await self._service.ask(self._question(connection))
        except ServiceError:
            return self._failed()
        finally:
            stats.active -= 1
        if answer.metadata:
            connection.metadata = {**(connection.metadata or {}), _METADATA: answer.metadata}
        if not answer.over:
            stats.ok += 1
            return None
        stats.over_limit += 1
        if not self._is_on(_ENFORCING):
            return None
        stats.cx_closed += 1
        return Close(reason="ratelimit_close_over_limit")

    def _question(self, connection: Connection) -> Any:
        record = ConnectionRecord(connection)
        question = self._service.question(self._domain)
        for pattern in self._patterns:
            add(question, tuple([(key, value(record)) for key, value in pattern.entries]))
        return question

    def _failed(self) -> Close | None:
        stats = self.stats
        stats.error += 1
        if not self._deny:
            stats.failure_mode_allowed += 1
            return None
        stats.cx_closed += 1
        return Close(reason="ratelimit_error_failure_mode_connection_close")
