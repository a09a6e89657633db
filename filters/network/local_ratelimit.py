"""New connections at a limited rate (envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit)."""

from collections.abc import Callable
from typing import Any

from meshproxy.api import Close, Connection, NetworkFilter, StatGroup, TokenBucket, Verdict, build_token_bucket


class LocalRateLimitStats(StatGroup):
    """`local_rate_limit.<stat_prefix>.*`."""

    COUNTERS = ("rate_limited",)

    __slots__ = COUNTERS


# Filters with the same share_key have one bucket between them.
_shared: dict[str, TokenBucket] = {}


class LocalRateLimit(NetworkFilter):
    def __init__(self, bucket: TokenBucket, enabled: Callable[[], bool]) -> None:
        self._bucket = bucket
        self._enabled = enabled
        self.stats = LocalRateLimitStats()

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "LocalRateLimit":
        bucket = build_token_bucket(config.token_bucket, ctx)
        if config.share_key:
            bucket = _shared.setdefault(config.share_key, bucket)
        feature = config.runtime_enabled
        key, default = feature.runtime_key, feature.get("default_value", True)
        built = cls(bucket, lambda: bool(ctx.runtime.boolean(key, default)))
        ctx.stats.add(f"local_rate_limit.{config.stat_prefix}", built.stats)
        return built

    def on_connection(self, connection: Connection) -> Verdict:
        if not self._enabled() or self._bucket.take():
            return None
        self.stats.rate_limited += 1
        return Close()
