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

    def take_retry(self) -> bool:
        """One more retry; False where there are as many as there may be."""
        if self.retry_budget:
            self.retries.maximum = self.allowed_retries()
        return self.retries.take()

    # ---- gauges, below `circuit_breakers.<priority>.` ----

    @property
    def cx_open(self) -> int:
        return _is_open(self.connections, self.connections.maximum)

    @property
    def cx_pool_open(self) -> int:
        return _is_open(self.pools, self.pools.maximum)

    @property
    def rq_open(self) -> int:
        return _is_open(self.requests, self.requests.maximum)

    @property
    def rq_pending_open(self) -> int:
        return _is_open(self.pending, self.pending.maximum)

    @property
    def rq_retry_open(self) -> int:
        return _is_open(self.retries, self.allowed_retries())

    def remaining(self) -> Iterator[tuple[str, int]]:
        """How much is left, where that is tracked. One process shows it."""
        if self.track_remaining and self.connections.shown_here:
            yield "remaining_cx", _left(self.connections, self.connections.maximum)
            yield "remaining_cx_pools", _left(self.pools, self.pools.maximum)
            yield "remaining_pending", _left(self.pending, self.pending.maximum)
            # As in Envoy, nothing where it is a share of requests: what is left changes with them.
            yield "remaining_retries", 0 if self.retry_budget else _left(self.retries, self.retries.maximum)
            yield "remaining_rq", _left(self.requests, self.requests.maximum)


def _is_open(count: Count, allowed: int) -> int:
    """One process shows it. What was never taken is not used (see observe/stats.py)."""
    if not count.shown_here:
        return False
    total = count.total
    return total if total is False else int(0 < total >= allowed)


def _left(count: Count, allowed: int) -> int:
    return max(0, allowed - count.total)
