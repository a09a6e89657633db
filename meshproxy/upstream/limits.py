"""Circuit breakers: how much of each resource a cluster may use (envoy.config.cluster.v3.CircuitBreakers)."""

from collections.abc import Iterator

from meshproxy.net.count import UNLIMITED, Count, Counts


class Limits:
    """The thresholds of one priority and what is in use now, in all workers together."""

    __slots__ = (
        "connections", "pending", "pools", "requests", "retries", "retry_budget", "retry_budget_minimum",
        "track_remaining",
    )  # fmt: skip

    def __init__(self, counts: Counts) -> None:
        self.connections = counts.make(1024)
        self.pending = counts.make(1024)
        self.requests = counts.make(1024)
        self.retries = counts.make(3)
        self.pools = counts.make(UNLIMITED)
        # Percent of the active requests that may be retries; it takes the place of the number. 0 for none.
        self.retry_budget = 0.0
        self.retry_budget_minimum = 3
        self.track_remaining = False

    def allowed_retries(self) -> int:
        if not self.retry_budget:
            return self.retries.maximum
        share = int(self.retry_budget * (self.requests.total + self.pending.total) / 100)
        return max(share, self.retry_budget_minimum)

    def gauges(self) -> Iterator[tuple[str, int]]:
        """Names below `circuit_breakers.<priority>.`; remaining_* only where it is tracked. One process shows them."""
        if not self.connections.shown_here:
            return
        rows: tuple[tuple[str, str, Count], ...] = (
            ("cx_open", "remaining_cx", self.connections),
            ("cx_pool_open", "remaining_cx_pools", self.pools),
            ("rq_open", "remaining_rq", self.requests),
            ("rq_pending_open", "remaining_pending", self.pending),
            ("rq_retry_open", "remaining_retries", self.retries),
        )
        for is_open, remaining, count in rows:
            used = count.total
            allowed = self.allowed_retries() if count is self.retries else count.maximum
            yield is_open, int(used >= allowed and used > 0)
            if self.track_remaining:
                yield remaining, max(0, allowed - used)
