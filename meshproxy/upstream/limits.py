"""Circuit breakers: how much of each resource a cluster may use (envoy.config.cluster.v3.CircuitBreakers)."""


class Limits:
    """The thresholds of one priority and what is in use now."""

    __slots__ = (
        "connections",
        "max_connections",
        "max_pending",
        "max_requests",
        "max_retries",
        "pending",
        "requests",
        "retries",
        "track_remaining",
    )

    def __init__(
        self, max_connections: int = 1024, max_pending: int = 1024, max_requests: int = 1024, max_retries: int = 3
    ) -> None:
        self.max_connections = max_connections
        self.max_pending = max_pending
        self.max_requests = max_requests
        self.max_retries = max_retries
        self.track_remaining = False
        self.connections = 0
        self.pending = 0
        self.requests = 0
        self.retries = 0
