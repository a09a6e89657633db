"""Circuit breakers: how much of each resource a cluster may use (envoy.config.cluster.v3.CircuitBreakers)."""

from collections.abc import Iterator

UNLIMITED = (1 << 64) - 1


class Limits:
    """The thresholds of one priority and what is in use now."""

    __slots__ = (
        "connections", "max_connections", "max_pending", "max_pools", "max_requests", "max_retries", "pending", "pools",
        "requests", "retries", "retry_budget", "retry_budget_minimum", "track_remaining",
    )  # fmt: skip

    def __init__(
        self, max_connections: int = 1024, max_pending: int = 1024, max_requests: int = 1024, max_retries: int = 3
    ) -> None:
        self.max_connections = max_connections
        self.max_pending = max_pending
        self.max_requests = max_requests
        self.max_retries = max_retries
        self.max_pools = UNLIMITED
        # Percent of the active requests that may be retries; it takes the place of max_retries. 0 for none.
        self.retry_budget = 0.0
        self.retry_budget_minimum = 3
        self.track_remaining = False
        self.connections = 0
        self.pending = 0
        self.requests = 0
        self.retries = 0
        self.pools = 0

    def allowed_retries(self) -> int:
        if not self.retry_budget:
            return self.max_retries
        share = int(self.retry_budget * (self.requests + self.pending) / 100)
        return max(share, self.retry_budget_minimum)

    def gauges(self) -> Iterator[tuple[str, int]]:
        """Names below `circuit_breakers.<priority>.`; remaining_* only where it is tracked."""
        rows = (
            ("cx_open", "remaining_cx", self.connections, self.max_connections),
            ("cx_pool_open", "remaining_cx_pools", self.pools, self.max_pools),
            ("rq_open", "remaining_rq", self.requests, self.max_requests),
            ("rq_pending_open", "remaining_pending", self.pending, self.max_pending),
            ("rq_retry_open", "remaining_retries", self.retries, self.allowed_retries()),
        )
        for is_open, remaining, used, allowed in rows:
            yield is_open, int(used >= allowed and used > 0)
            if self.track_remaining:
                yield remaining, max(0, allowed - used)
