"""A cluster: endpoints, the balancer over them, limits, counters, and the settings of its connections."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from meshproxy.http.headers import Headers
from meshproxy.net.collector import out_of_sight
from meshproxy.net.dial import SocketOptions
from meshproxy.net.runtime import Fraction, Runtime
from meshproxy.net.slices import Turns, work_for
from meshproxy.net.tasks import start_task
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.net.transport_options import NO_OPTIONS, Secured, TransportOptions
from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.alpn_pool import AlpnPool
from meshproxy.upstream.endpoint import FAILED_ACTIVE_HC, FAILED_EDS_HEALTH, PENDING_DYNAMIC_REMOVAL, Endpoint
from meshproxy.upstream.host_limits import HostLimits
from meshproxy.upstream.http1_pool import Http1Pool
from meshproxy.upstream.http2_pool import Http2Pool
from meshproxy.upstream.pool import Pool
from meshproxy.upstream.pool_settings import AS_DOWNSTREAM, BY_ALPN, HTTP1, HTTP2, PoolSettings
from meshproxy.upstream.priorities import Balancer
from meshproxy.upstream.priority_loads import OVERPROVISIONING
from meshproxy.upstream.stats import ClusterStats, EndpointRow
from meshproxy.upstream.transports import Transports

_POOLS = {HTTP1: Http1Pool, HTTP2: Http2Pool, BY_ALPN: AlpnPool}
# Seconds in which a balancer may be told of a change at once; what takes longer is done in turns with everything else.
_AT_ONCE = 0.002


class Discovery(Protocol):
    """Finds a cluster's endpoints while the proxy runs (DNS, EDS)."""

    def start(self) -> None: ...
    async def wait(self) -> None: ...
    def close(self) -> None: ...


class Watcher(Protocol):
    """Follows a cluster's endpoints to find out which of them are well (active health checks, outlier detection)."""

    def enter(self, endpoint: Endpoint) -> None:
        """An endpoint is about to be one of the cluster's."""

    def leave(self, endpoint: Endpoint) -> None:
        """It is one no more."""

    def start(self) -> None: ...
    async def wait(self) -> None:
        """Returns once something is known of every endpoint."""

    def close(self) -> None: ...


class Cluster:
    """Everything a router needs to know of where requests go. `limits` by priority: 0 default, 1 high."""

    __slots__ = (
        "_changing", "_durations", "_gone", "_rebuilding", "_refreshing", "_stale", "added_via_api", "alt_stat_name",
        "balancer", "changed", "cuts_failed", "discovery", "drain_on_change", "endpoints", "host_limits",
        "keeps_healthy", "limits", "load_reports", "local_zone", "maintenance", "metadata", "name",
        "overprovisioning", "pool_settings", "runtime", "socket_options", "stat_groups", "stats", "transports",
        "turns", "watchers",
    )  # fmt: skip

    def __init__(
        self, name: str, balancer: Balancer, pool_settings: PoolSettings, stats: ClusterStats | None = None
    ) -> None:
        self.name = name
        self.alt_stat_name = name
        self.stats = stats or ClusterStats()
        # Those of the balancer, by what they are called below the cluster's.
        self.stat_groups: dict[str, StatGroup] = {}
        self.balancer = balancer
        self.pool_settings = pool_settings
        self.socket_options = SocketOptions()
        # What is around the bytes of its connections; None where they are plain.
        self.transports: Transports | None = None
        self.limits = self.stats.limits
        # How many connections one endpoint may have; None for any number.
        self.host_limits: HostLimits | None = None
        self.endpoints: list[Endpoint] = []
        self.metadata: dict[str, Any] = {}
        # The zone of this proxy; with it, responses are counted by the two zones.
        self.local_zone = ""
        self.runtime = Runtime()
        self.maintenance = Fraction(0, 100, f"upstream.maintenance_mode.{name}")
        self._durations: TimeoutQueue[Any] | None = None
        # The balancer's new tables in the making, and whether they are out of date before they are done.
        self._rebuilding: asyncio.Task[Any] | None = None
        self._stale = False
        # One change at a time: each begins with what the one before has left.
        self._changing = asyncio.Lock()
        # Endpoints that have left, but that tables still have.
        self._gone: list[Endpoint] = []
        # Called when the balancer picks from other endpoints than before, or from the same in another state.
        self.changed: list[Callable[[], None]] = []
        # All connections are given up when endpoints come or go (close_connections_on_host_set_change).
        self.drain_on_change = False
        # Hears of trailers, where endpoints report their load.
        self.load_reports: Callable[[Endpoint, Headers], None] | None = None
        self.turns = Turns()
        self.discovery: Discovery | None = None
        # In the order in which they hear of endpoints.
        self.watchers: tuple[Watcher, ...] = ()
        # TCP connections to an endpoint that fails are closed (close_connections_on_host_health_failure).
        self.cuts_failed = False
        # Endpoints that discovery does not name any more stay for as long as health checks find them well.
        self.keeps_healthy = False
        self.added_via_api = False
        # Percent by which healthy endpoints may carry more than their share.
        self.overprovisioning = OVERPROVISIONING
        self._refreshing = False

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

    def pool_for(
        self, stream: Any, endpoint: Endpoint, priority: int, protocol: str = "HTTP/1.1"
    ) -> Pool | None:
        """Those that serve this stream, which may have something to say of its connection: that it comes from the
        client's own address, or what TLS is to say and to expect."""
        source: SocketOptions | None = stream.connection.upstream_source
        transports = self.transports
        options = transports.options_of_stream(stream, endpoint) if transports is not None else NO_OPTIONS
        if source is None and options is NO_OPTIONS:
            return self.pool(endpoint, priority, protocol)
        kind = self._kind(protocol)
        key: tuple[Any, ...] = (kind, priority, options)
        if source is not None:
            key = (*key, *source.bind, source.mark)
        pool = self._other_pool(key, kind, endpoint, priority, self.socket_options.under(source))
        if pool is not None:
            pool.options = options
        return pool

    def secured(
        self, endpoint: Endpoint, options: TransportOptions = NO_OPTIONS, alpn: tuple[str, ...] = ()
    ) -> Secured | None:
        """For one connection. alpn: what is offered where the configuration does not say it."""
        return self.transports.secured(endpoint, options, alpn) if self.transports is not None else None

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
        for _ in self._merge(endpoints):
            pass
        self.refresh()

    async def change_endpoints(self, endpoints: Iterable[Endpoint]) -> None:
        """The same for thousands, which may still be in the making, in turns with everything else."""
        async with self._changing:
            with out_of_sight():
                async for _ in self.turns.slices(self._merge(endpoints)):
                    pass
                self.refresh()
                await self.settled()

    def _merge(self, endpoints: Iterable[Endpoint]) -> Iterator[None]:
        known: dict[tuple[str, int], Endpoint] = {endpoint.address: endpoint for endpoint in self.endpoints}
        merged = []
        # As in Envoy, each priority whose endpoints come or go is a change.
        changed: set[int] = set()
        for fresh in endpoints:
            endpoint = known.pop(fresh.address, None)
            if endpoint is None:
                endpoint = fresh
                changed.add(fresh.priority)
                self._enter(fresh)
            else:
                endpoint.adopt(fresh)
                endpoint.flag(PENDING_DYNAMIC_REMOVAL, False)
            merged.append(endpoint)
            yield
        if self.keeps_healthy:
            merged += [known.pop(each.address) for each in list(known.values()) if _stays(each)]
        self.endpoints = merged
        for gone in known.values():
            changed.add(gone.priority)
            self._leave(gone)
        if changed:
            self.stats.membership_change += len(changed)
            if self.drain_on_change:
                for endpoint in merged:
                    endpoint.renew_connections()

    def add_endpoint(self, endpoint: Endpoint) -> None:
        """One more, found while it serves; the balancer knows it already."""
        self._enter(endpoint)
        self.endpoints.append(endpoint)
        self._counted()

    def remove_endpoints(self, gone: list[Endpoint]) -> None:
        left = set(gone)
        self.endpoints = [endpoint for endpoint in self.endpoints if endpoint not in left]
        for endpoint in gone:
            self._unwatch(endpoint)
            endpoint.close()
        self._counted()

    def _enter(self, endpoint: Endpoint) -> None:
        endpoint.cluster = self
        if self.host_limits is not None and endpoint.connections is None:
            endpoint.connections = self.host_limits.count_of(endpoint)
        endpoint.transports = self.transports
        if self.transports is None or self.transports.count(endpoint):
            self.stats.total_match_count += 1
        for watcher in self.watchers:
            watcher.enter(endpoint)

    def _leave(self, endpoint: Endpoint) -> None:
        self._unwatch(endpoint)
        self._gone.append(endpoint)

    def _unwatch(self, endpoint: Endpoint) -> None:
        for watcher in self.watchers:
            watcher.leave(endpoint)

    def _counted(self) -> None:
        stats = self.stats
        stats.membership_change += 1
        stats.membership_total = stats.membership_healthy = len(self.endpoints)
        stats.membership_degraded = stats.membership_excluded = 0

    def endpoint_rows(self) -> list[EndpointRow]:
        """What stats of each endpoint need."""
        return [(each.address_text, each.healthy, each.stats) for each in self.endpoints]

    def refresh(self) -> None:
        """Endpoints, weights or health changed: new tables for the balancer, new gauges."""
        endpoints = self.endpoints
        stats = self.stats
        stats.membership_total = len(endpoints)
        stats.membership_healthy = sum([endpoint.healthy for endpoint in endpoints])
        stats.membership_degraded = sum([endpoint.degraded for endpoint in endpoints])
        stats.membership_excluded = sum([endpoint.excluded for endpoint in endpoints])
        if self._rebuilding is not None:
            self._stale = True
            return
        work = self.balancer.rebuild(endpoints)
        if work_for(_AT_ONCE, work):
            self._rebuilt()
        elif _loop_runs():
            self._rebuilding = start_task(self._rebuild(work), f"new tables of cluster {self.name}")
        else:
            for _ in work:
                pass
            self._rebuilt()

    async def settled(self) -> None:
        """Returns once the balancer picks from the endpoints that there are."""
        while self._rebuilding is not None:
            await asyncio.shield(self._rebuilding)

    async def _rebuild(self, work: Iterator[None]) -> None:
        async for _ in self.turns.slices(work):
            pass
        while self._stale:
            self._stale = False
            async for _ in self.turns.slices(self.balancer.rebuild(self.endpoints)):
                pass
        self._rebuilding = None
        self._rebuilt()

    def _rebuilt(self) -> None:
        """Nobody picks any more what has left."""
        gone, self._gone = self._gone, []
        for endpoint in gone:
            endpoint.close()
        for changed in self.changed:
            changed()

    def health_changed(self, endpoint: Endpoint) -> None:
        """The flags of an endpoint are others; many that change at once are one refresh."""
        if PENDING_DYNAMIC_REMOVAL in endpoint.health_flags and FAILED_ACTIVE_HC in endpoint.health_flags:
            self.stats.membership_change += 1
            self.endpoints = [each for each in self.endpoints if each is not endpoint]
            self._leave(endpoint)
        if not self._refreshing:
            self._refreshing = True
            asyncio.get_running_loop().call_soon(self._refresh_now)

    def _refresh_now(self) -> None:
        self._refreshing = False
        self.refresh()

    async def warm(self) -> None:
        """Returns once its endpoints are known, and what there is to know of them, and can be picked from."""
        if self.discovery is not None:
            await self.discovery.wait()
        for watcher in self.watchers:
            await watcher.wait()
        await self.settled()

    def close(self) -> None:
        """The cluster is gone from the configuration."""
        if self._rebuilding is not None:
            self._rebuilding.cancel()
        if self.discovery is not None:
            self.discovery.close()
        for watcher in self.watchers:
            watcher.close()
        for endpoint in self.endpoints:
            endpoint.close()


def _loop_runs() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _stays(endpoint: Endpoint) -> bool:
    """Whether one that discovery has lost sight of serves on, because it passes its health checks."""
    if FAILED_ACTIVE_HC in endpoint.health_flags or FAILED_EDS_HEALTH in endpoint.health_flags:
        return False
    endpoint.flag(PENDING_DYNAMIC_REMOVAL)
    return True


class Clusters:
    """All clusters by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Cluster] = {}
        # Of all that is too long for one turn of the loop, whatever cluster it is for.
        self.turns = Turns()

    def __iter__(self) -> Iterator[Cluster]:
        return iter(self.by_name.values())

    def start(self) -> None:
        """Starts to look for endpoints and after them, on the running loop."""
        for cluster in self:
            for watcher in cluster.watchers:
                watcher.start()
            if cluster.discovery is not None:
                cluster.discovery.start()

    async def warm(self) -> None:
        """Returns once every cluster has had a first answer about its endpoints, good or bad."""
        await asyncio.gather(*[each.warm() for each in self if each.discovery is not None or each.watchers])

    def close(self) -> None:
        for cluster in self:
            cluster.close()
