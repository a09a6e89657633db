"""One address that serves a cluster (envoy.config.endpoint.v3.LbEndpoint)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshproxy.net.connection import address_text
from meshproxy.net.count import Count
from meshproxy.upstream.stats import EndpointStats

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.host_monitor import HostMonitor
    from meshproxy.upstream.pool import Pool
    from meshproxy.upstream.transports import Transports

Address = tuple[str, int]
Locality = tuple[str, str, str]

# Why an endpoint is not healthy, as Envoy's /clusters writes it, and in this order. What the configuration says is
# `configured`; the rest was found by whoever checks or watches it.
FLAGS = (
    FAILED_ACTIVE_HC, FAILED_OUTLIER_CHECK, FAILED_EDS_HEALTH, DEGRADED_ACTIVE_HC, DEGRADED_EDS_HEALTH,
    PENDING_DYNAMIC_REMOVAL, PENDING_ACTIVE_HC, EXCLUDED_VIA_IMMEDIATE_HC_FAIL, ACTIVE_HC_TIMEOUT,
    EDS_STATUS_DRAINING, DEGRADED_OUTLIER_DETECTION,
) = (
    "failed_active_hc", "failed_outlier_check", "failed_eds_health", "degraded_active_hc", "degraded_eds_health",
    "pending_dynamic_removal", "pending_active_hc", "excluded_via_immediate_hc_fail", "active_hc_timeout",
    "eds_status_draining", "degraded_outlier_detection",
)  # fmt: skip
_CONFIGURED = frozenset({FAILED_EDS_HEALTH, DEGRADED_EDS_HEALTH, EDS_STATUS_DRAINING})
# What discovery says, each process by itself.
_GIVEN = _CONFIGURED | {PENDING_DYNAMIC_REMOVAL}
_UNHEALTHY = frozenset({FAILED_ACTIVE_HC, FAILED_OUTLIER_CHECK, FAILED_EDS_HEALTH, EDS_STATUS_DRAINING})
_DEGRADED = frozenset({DEGRADED_ACTIVE_HC, DEGRADED_EDS_HEALTH, DEGRADED_OUTLIER_DETECTION})
# They do not count where the healthy share of a priority is worked out.
_EXCLUDED = frozenset({PENDING_ACTIVE_HC, EXCLUDED_VIA_IMMEDIATE_HC_FAIL, EDS_STATUS_DRAINING})


class Checking:
    """How active health checks reach an endpoint, where not as requests do (Endpoint.HealthCheckConfig).

    address: another one; port: in the place of the address's, 0 for none; hostname: for the host header, "" for none.
    """

    __slots__ = ("address", "disabled", "hostname", "port")

    def __init__(
        self, address: Address | None = None, port: int = 0, hostname: str = "", disabled: bool = False
    ) -> None:
        self.address = address
        self.port = port
        self.hostname = hostname
        self.disabled = disabled

    def address_of(self, endpoint: Address) -> Address:
        host, port = self.address or endpoint
        return host, self.port or port


class Endpoint:
    """address: (host, port), or (path, 0) for a unix socket. hostname: the name it was resolved from, or "".

    locality: (region, zone, sub_zone). health_flags: reasons why it is not plainly healthy; empty for healthy. What
    they come to is healthy, degraded (it serves where healthy ones do not suffice), or neither; and excluded, in
    addition to that. monitor: who hears of its exchanges, where somebody wants to.
    """

    __slots__ = (
        "_cuts", "address", "address_text", "canary", "checking", "cluster", "connections", "degraded", "excluded",
        "hash_key", "health_flags", "healthy", "healthy_since", "hostname", "locality", "locality_weight", "metadata",
        "monitor", "pools", "priority", "source_pools", "stats", "transports", "weight",
    )  # fmt: skip

    def __init__(
        self, address: Address, hostname: str = "", weight: int = 1, priority: int = 0,
        locality: Locality = ("", "", ""), metadata: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.address = address
        self.address_text = address_text(address)
        self.hostname = hostname
        self.weight = weight
        self.priority = priority
        self.locality = locality
        self.locality_weight = 0
        self.metadata: dict[str, Any] = metadata or {}
        self.canary = bool(self.metadata.get("envoy.lb", {}).get("canary", False))
        # The one that it belongs to, once it does: not where it was picked through an aggregate cluster.
        self.cluster: Cluster | None = None
        # What is around the bytes of its connections, by that cluster; None where they are plain.
        self.transports: Transports | None = None
        self.health_flags: tuple[str, ...] = ()
        # Picked first; picked for what the healthy ones cannot carry; not counted among those that ought to be healthy.
        self.healthy = True
        self.degraded = self.excluded = False
        # When it began to be healthy, in seconds of the monotonic clock: its slow start is counted from then.
        self.healthy_since: float | None = None
        # How many there are of all workers, where there may be only so many.
        self.connections: Count | None = None
        # What balancers that hash call it, once they have worked that out.
        self.hash_key: bytes | None = None
        self.checking: Checking | None = None
        self.monitor: HostMonitor | None = None
        # What closes connections that are not to outlive the endpoint's health.
        self._cuts: set[Callable[[], None]] | None = None
        self.stats = EndpointStats()
        # The HTTP connections of this worker to this endpoint, by routing priority; made on first use.
        self.pools: list[Pool | None] = [None, None]
        # Those that not every client may use, by what they depend on: its own address, its protocol.
        self.source_pools: dict[Any, Pool] = {}

    def set_health(self, flags: tuple[str, ...]) -> None:
        """Whoever calls this tells the cluster too (`Cluster.refresh`): balancers pick from prepared tables."""
        self.health_flags = flags
        failed = not _UNHEALTHY.isdisjoint(flags)
        self.degraded = not failed and not _DEGRADED.isdisjoint(flags)
        self.healthy = not failed and not self.degraded
        self.excluded = not _EXCLUDED.isdisjoint(flags)

    def flag(self, name: str, on: bool = True) -> None:
        """Sets or clears one of the flags; the cluster has to hear of it too."""
        if (name in self.health_flags) != on:
            wanted = {*self.health_flags, name} if on else {*self.health_flags} - {name}
            self.set_health(tuple([each for each in FLAGS if each in wanted]))

    def found(self) -> tuple[str, ...]:
        """The flags that somebody found who looked after it."""
        return tuple([flag for flag in self.health_flags if flag not in _GIVEN])

    def find(self, flags: tuple[str, ...]) -> None:
        """These flags in the place of all that were found before."""
        wanted = {*flags, *_GIVEN.intersection(self.health_flags)}
        self.set_health(tuple([each for each in FLAGS if each in wanted]))

    @property
    def check_address(self) -> Address:
        """Where active health checks go."""
        return self.address if self.checking is None else self.checking.address_of(self.address)

    def move(self, address: Address) -> None:
        """New connections go to another address (LOGICAL_DNS); the ones that are there stay."""
        self.address = address
        self.address_text = address_text(address)
        self.hash_key = None

    def at(self, address: Address) -> "Endpoint":
        """What the configuration says of a name, for one of its addresses."""
        endpoint = Endpoint(address, self.hostname, self.weight, self.priority, self.locality, self.metadata)
        endpoint.locality_weight = self.locality_weight
        endpoint.checking = self.checking
        endpoint.set_health(self.health_flags)
        return endpoint

    def adopt(self, fresh: "Endpoint") -> None:
        """Takes over what a newer configuration says of the same address; connections and load stay."""
        if (self.hostname, self.metadata) != (fresh.hostname, fresh.metadata):
            self.hash_key = None
        self.hostname = fresh.hostname
        self.weight = fresh.weight
        self.priority = fresh.priority
        self.locality = fresh.locality
        self.locality_weight = fresh.locality_weight
        self.metadata = fresh.metadata
        self.canary = fresh.canary
        self.checking = fresh.checking
        found = self.found()
        self.set_health(fresh.health_flags)
        self.find(found)

    def close(self) -> None:
        """The endpoint left the cluster: idle connections go now, busy ones once they are done."""
        for pool in (*self.pools, *self.source_pools.values()):
            if pool is not None:
                pool.drain()

    def hold(self, cut: Callable[[], None]) -> None:
        """A connection that is to end with the endpoint's health: `cut` is called then."""
        if self._cuts is None:
            self._cuts = set()
        self._cuts.add(cut)

    def let_go(self, cut: Callable[[], None]) -> None:
        """It has ended."""
        if self._cuts is not None:
            self._cuts.discard(cut)

    def renew_connections(self) -> None:
        """Those that are there take no more exchanges: the endpoint is not what it was when they were made. Those that
        nobody may keep are closed."""
        for cut in list(self._cuts or ()):
            cut()
        for pool in (*self.pools, *self.source_pools.values()):
            if pool is not None:
                pool.retire()

    def forget(self, pool: "Pool") -> bool:
        """The pool has no connections any more; False where this endpoint has forgotten it already."""
        if self.pools[pool.priority] is pool:
            self.pools[pool.priority] = None
            return True
        if self.source_pools.get(pool.source) is pool:
            del self.source_pools[pool.source]
            return True
        return False

    def in_use(self) -> bool:
        """Whether there are connections to it."""
        return bool(self.stats.cx_active)
