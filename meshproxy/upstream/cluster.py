"""A cluster: endpoints, the balancer over them, limits, counters, and the settings of its connections."""

from typing import Any, Protocol

from meshproxy.net.dial import SocketOptions
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.http1_pool import Http1Pool, PoolSettings
from meshproxy.upstream.limits import Limits
from meshproxy.upstream.stats import ClusterStats


class Balancer(Protocol):
    """Picks from a table that was prepared when the endpoints changed."""

    def update(self, endpoints: list[Endpoint]) -> None: ...
    def pick(self, stream: Any) -> Endpoint | None: ...


class Cluster:
    """Everything a router needs to know of where requests go. `limits` by priority: 0 default, 1 high."""

    def __init__(self, name: str, balancer: Balancer, pool_settings: PoolSettings) -> None:
        self.name = name
        self.stats = ClusterStats()
        self.codes: dict[int, int] = {}
        self.balancer = balancer
        self.pool_settings = pool_settings
        self.socket_options = SocketOptions()
        self.limits = (Limits(), Limits())
        self.endpoints: list[Endpoint] = []
        self.metadata: dict[str, Any] = {}

    def pool(self, endpoint: Endpoint) -> Http1Pool:
        pool = endpoint.pool
        if pool is None:
            pool = endpoint.pool = Http1Pool(self, endpoint)
        return pool

    def set_endpoints(self, endpoints: list[Endpoint]) -> None:
        """Replaces the set; endpoints that stay keep their pools, health and load (compared by address)."""
        known = {endpoint.address: endpoint for endpoint in self.endpoints}
        self.endpoints = [known.pop(endpoint.address, endpoint) for endpoint in endpoints]
        for gone in known.values():
            if gone.pool is not None:
                gone.pool.close()
        self.stats.membership_total = len(self.endpoints)
        self.stats.membership_healthy = sum(endpoint.healthy for endpoint in self.endpoints)
        self.stats.membership_change += 1
        self.balancer.update(self.endpoints)


class Clusters:
    """All clusters by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Cluster] = {}
