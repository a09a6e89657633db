"""Accepted sockets at a limited rate (envoy.extensions.filters.listener.local_ratelimit.v3.LocalRateLimit)."""

import socket
from collections.abc import Callable
from typing import Any

from meshproxy.api import CLOSE, Connection, ListenerFilter, Look, StatGroup, TokenBucket, build_token_bucket


class ListenerRateLimitStats(StatGroup):
    """`listener_local_ratelimit.<stat_prefix>.*`."""

    COUNTERS = ("rate_limited",)

    __slots__ = COUNTERS


class LocalRateLimit(ListenerFilter):
    def __init__(self, bucket: TokenBucket, enabled: Callable[[], bool]) -> None:
        self._bucket = bucket
        self._enabled = enabled
        self.stats = ListenerRateLimitStats()

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "LocalRateLimit":
        feature = config.runtime_enabled
        key, default = feature.runtime_key, feature.get("default_value", True)
        built = cls(build_token_bucket(config.token_bucket, ctx), lambda: bool(ctx.runtime.boolean(key, default)))
        ctx.stats.add(f"listener_local_ratelimit.{config.stat_prefix}", built.stats)
        return built

    def on_accept(self, connection: Connection, sock: socket.socket) -> Look:
        if not self._enabled() or self._bucket.take():
            return 0
        self.stats.rate_limited += 1
        return CLOSE
