"""Answers the health checks of others (envoy.extensions.filters.http.health_check.v3.HealthCheck).

It says how the proxy itself is, or the clusters that it needs, or what the service behind it said a moment ago.
"""

import time
from collections.abc import Callable
from typing import Any

from meshproxy.api import (
    ConfigError,
    Headers,
    HttpFilter,
    LocalReply,
    Outcome,
    ResponseHeaders,
    StatGroup,
    Stream,
    build_header_matchers,
)

_CHECKED_CLUSTER = "x-envoy-upstream-healthchecked-cluster"
_IMMEDIATE_FAILURE = "x-envoy-immediate-health-check-fail"
_DEGRADED = "x-envoy-degraded"
_FAILED_FLAG = "LH"


class HealthCheckStats(StatGroup):
    """`http.<prefix>.health_check.*`."""

    COUNTERS = (
        "cached_response", "degraded", "failed", "failed_cluster_empty", "failed_cluster_not_found",
        "failed_cluster_unhealthy", "ok", "request_total",
    )  # fmt: skip

    __slots__ = COUNTERS


class Cache:
    """What the service said last: good until the next whole `seconds` are over, in this process."""

    __slots__ = ("_began", "_period", "_seconds", "degraded", "status")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._period = -1
        self.status = 200
        self.degraded = False

    def put(self, response: ResponseHeaders) -> None:
        self.status, self.degraded = response.status, _DEGRADED in response
        self._period = self._now()

    def __bool__(self) -> bool:
        """Whether it is to be used."""
        return self._period == self._now()

    def _now(self) -> int:
        return int((time.monotonic() - self._began) / self._seconds)


class HealthCheck(HttpFilter):
    def __init__(self, config: Any, ctx: Any, matches: Callable[[Headers], bool]) -> None:
        self._matches = matches
        self._pass_through: bool = config.pass_through_mode
        seconds = config.seconds("cache_time", 0.0)
        self._cache = Cache(seconds) if seconds else None
        # By cluster: how many percent of its endpoints have to be available.
        self._wanted = {name: each.value for name, each in config.cluster_min_healthy_percentages.items()}
        self._clusters = ctx.clusters.by_name
        self._server = ctx.server_health
        self._service: str = ctx.node.cluster
        self.stats = HealthCheckStats()
        ctx.stats.add(f"{ctx.stat_prefix}health_check", self.stats)

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "HealthCheck":
        if config.has("cache_time") and not config.pass_through_mode:
            raise ConfigError("cache_time_ms must not be set when path_through_mode is disabled")
        return cls(config, ctx, build_header_matchers(config.headers, ctx))

    def on_request_headers(self, stream: Stream, end: bool) -> Outcome:
        if not self._matches(stream.request):
            return None
        stream.health_check = True
        stream.keep(self, True)
        if self._pass_through and not self._server.failed and not self._cache:
            return None
        return self._answer() if end else self._answer_at_end(stream)

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        response = stream.response
        assert response is not None
        if stream.kept(self):
            if self._cache is not None:
                self._cache.put(response)
            response.set(_CHECKED_CLUSTER, self._service)
        elif self._server.failed:
            response.set(_IMMEDIATE_FAILURE, "true")

    async def _answer_at_end(self, stream: Stream) -> LocalReply:
        """Nothing is said before the request is complete."""
        await stream.read_request()
        return self._answer()

    def _answer(self) -> LocalReply:
        stats = self.stats
        stats.request_total += 1
        if self._server.failed:
            stats.failed += 1
            return LocalReply(503, b"", "health_check_failed", flag=_FAILED_FLAG)
        if self._cache is not None:
            return self._cached(self._cache)
        details = "health_check_ok"
        if self._wanted:
            details = self._look_at_clusters()
        if details in ("health_check_ok", "health_check_ok_cluster_healthy"):
            stats.ok += 1
            return LocalReply(200, b"", details)
        stats.failed += 1
        return LocalReply(503, b"", details, flag=_FAILED_FLAG)

    def _cached(self, cache: Cache) -> LocalReply:
        stats = self.stats
        stats.cached_response += 1
        headers = []
        if cache.degraded:
            stats.degraded += 1
            headers.append((_DEGRADED, ""))
        if 200 <= cache.status < 300:
            stats.ok += 1
            return LocalReply(cache.status, b"", "health_check_cached", headers)
        stats.failed += 1
        return LocalReply(cache.status, b"", "health_check_cached", headers, flag=_FAILED_FLAG)

    def _look_at_clusters(self) -> str:
        """%RESPONSE_CODE_DETAILS%: of the first cluster that is not well."""
        stats = self.stats
        for name, wanted in self._wanted.items():
            cluster = self._clusters.get(name)
            if cluster is None:
                stats.failed_cluster_not_found += 1
                return "health_check_failed_no_cluster_found"
            found = cluster.stats
            if not found.membership_total:
                if wanted:
                    stats.failed_cluster_empty += 1
                    return "health_check_failed_cluster_empty"
            elif 100 * (found.membership_healthy + found.membership_degraded) < found.membership_total * wanted:
                stats.failed_cluster_unhealthy += 1
                return "health_check_failed_cluster_unhealthy"
        return "health_check_ok_cluster_healthy"
