"""A cluster: endpoints, the balancer over them, limits, counters, and the settings of its connections."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from meshproxy.net.dial import SocketOptions
from meshproxy.net.runtime import Fraction, Runtime
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.net.tls_client import UpstreamTls
from meshproxy.upstream.alpn_pool import AlpnPool
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.http1_pool import Http1Pool
from meshproxy.upstream.http2_pool import Http2Pool
from meshproxy.upstream.pool import Pool
from meshproxy.upstream.pool_settings import AS_DOWNSTREAM, BY_ALPN, HTTP1, HTTP2, PoolSettings
from meshproxy.upstream.priorities import Balancer
from meshproxy.upstream.stats import ClusterStats, EndpointRow

_POOLS = {HTTP1: Http1Pool, HTTP2: Http2Pool, BY_ALPN: AlpnPool}


class Discovery(Protocol):
    """Finds a cluster's endpoints while the proxy runs (DNS, EDS)."""

    def start(self) -> None: ...
    async def wait(self) -> None: ...
    def close(self) -> None: ...


class Cluster:
    """Everything a router needs to know of where requests go. `limits` by priority: 0 default, 1 high."""

    __slots__ = (
        "_durations", "added_via_api", "alt_stat_name", "balancer", "discovery", "endpoints", "limits", "local_zone",
        "maintenance", "metadata", "name", "per_host_connections", "pool_settings", "runtime", "socket_options",
        "stats", "tls",
    )  # fmt: skip

    def __init__(
        self, name: str, balancer: Balancer, pool_settings: PoolSettings, stats: ClusterStats | None = None
    ) -> None:
        self.name = name
        self.alt_stat_name = name
        self.stats = stats or ClusterStats()
        self.balancer = balancer
        self.pool_settings = pool_settings
        self.socket_options = SocketOptions()
        # How connections are protected; None for plain TCP.
        self.tls: UpstreamTls | None = None
        self.limits = self.stats.limits
        # How many connections one endpoint may have; 0 for any number.
        self.per_host_connections = 0
        self.endpoints: list[Endpoint] = []
        self.metadata: dict[str, Any] = {}
        # The zone of this proxy; with it, responses are counted by the two zones.
        self.local_zone = ""
        self.runtime = Runtime()
        self.maintenance = Fraction(0, 100, f"upstream.maintenance_mode.{name}")
        self._durations: TimeoutQueue[Any] | None = None
        self.discovery: Discovery | None = None
        self.added_via_api = False

    def pool(self, endpoint: Endpoint, priority: int = 0, protocol: str = "HTTP/1.1") -> Pool | None:
        """The connections to an endpoint; None where the cluster has as many pools as it may have.

        protocol: the client's, which some clusters follow.
        """
        if self.pool_settings.protocol == AS_DOWNSTREAM:
            kind = self._kind(protocol)
            return self._other_pool((kind, priority), kind, endpoint, priority, self.socket_options)
        pool = endpoint.pools[priority]
        if pool is None and self._may_pool(priority):
            make = _POOLS[self.pool_settings.protocol]
            pool = endpoint.pools[priority] = make(self, endpoint, priority, self.socket_options)
        return pool

    def pool_from(
        self, source: SocketOptions, endpoint: Endpoint, priority: int = 0, protocol: str = "HTTP/1.1"
    ) -> Pool | None:
        """Those that come from a client's own address: they serve that client alone."""
        kind = self._kind(protocol)
        key = (*source.bind, source.mark, kind, priority)
        return self._other_pool(key, kind, endpoint, priority, self.socket_options.under(source))

    def _kind(self, protocol: str) -> str:
        kind = self.pool_settings.protocol
        if kind == AS_DOWNSTREAM:
            kind = HTTP2 if protocol == "HTTP/2" else HTTP1
        return kind

    def _other_pool(
        self, key: Any, kind: str, endpoint: Endpoint, priority: int, socket_options: SocketOptions
    ) -> Pool | None:
        pool = endpoint.source_pools.get(key)
        if pool is None and self._may_pool(priority):
            pool = endpoint.source_pools[key] = _POOLS[kind](self, endpoint, priority, socket_options, key)
        return pool

    def _may_pool(self, priority: int) -> bool:
        if self.limits[priority].pools.take():
            return True
        self.stats.upstream_cx_pool_overflow += 1
        return False

    def durations(self, loop: asyncio.AbstractEventLoop, expired: Callable[[Any], float]) -> TimeoutQueue[Any]:
        """The exchanges of a cluster that has a max_stream_duration."""
        if self._durations is None:
            self._durations = TimeoutQueue(loop, self.pool_settings.max_stream_duration, expired)
        return self._durations

    def in_maintenance(self) -> bool:
        """Whether an operator has this request turned away (runtime key upstream.maintenance_mode.<cluster>)."""
        fraction = self.maintenance
        return self.runtime.get(fraction.key) is not None and self.runtime.enabled(fraction)

    def set_endpoints(self, endpoints: list[Endpoint]) -> None:
        """Replaces the set; endpoints that stay keep their pools, health and load (compared by address)."""
        known: dict[tuple[str, int], Endpoint] = {endpoint.address: endpoint for endpoint in self.endpoints}
        merged = []
        changed = False
        for fresh in endpoints:
            endpoint = known.pop(fresh.address, None)
            if endpoint is None:
                endpoint, changed = fresh, True
                self.stats.total_match_count += 1
            else:
                endpoint.adopt(fresh)
            merged.append(endpoint)
        self.endpoints = merged
        for gone in known.values():
            gone.close()
        if changed or known:
            self.stats.membership_change += 1
        self.refresh()

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """One more, found while it serves; the balancer knows it already."""
        self.endpoints.append(endpoint)
        self._counted(added=1)

    def remove_endpoints(self, gone: list[Endpoint]) -> None:
        left = set(gone)
        self.endpoints = [endpoint for endpoint in self.endpoints if endpoint not in left]
        for endpoint in gone:
            endpoint.close()
        self._counted(added=0)

    def _counted(self, added: int) -> None:
        stats = self.stats
        stats.total_match_count += added
        stats.membership_change += 1
        stats.membership_total = stats.membership_healthy = len(self.endpoints)
        stats.membership_degraded = stats.membership_excluded = 0

    def endpoint_rows(self) -> list[EndpointRow]:
        """What stats of each endpoint need."""
        return [(each.address_text, each.healthy, each.stats) for each in self.endpoints]

    def refresh(self) -> None:
        """Endpoints, weights or health changed: new tables for the balancer, new gauges."""
        endpoints = self.endpoints
        self.stats.membership_total = len(endpoints)
        self.stats.membership_healthy = sum(endpoint.healthy for endpoint in endpoints)
        self.stats.membership_degraded = self.stats.membership_excluded = 0
        self.balancer.update(endpoints)

    def close(self) -> None:
        """The cluster is gone from the configuration."""
        if self.discovery is not None:
            self.discovery.close()
        for endpoint in self.endpoints:
            endpoint.close()


class Clusters:
    """All clusters by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Cluster] = {}

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self.by_name.values())

    def start(self) -> None:
        """Starts to look for endpoints, on the running loop."""
        for cluster in self:
            if cluster.discovery is not None:
                cluster.discovery.start()

    async def warm(self) -> None:
        """Returns once every cluster has had a first answer about its endpoints, good or bad."""
        await asyncio.gather(*[each.discovery.wait() for each in self if each.discovery is not None])

    def close(self) -> None:
        for cluster in self:
            cluster.close()
