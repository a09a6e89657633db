"""One address that serves a cluster (envoy.config.endpoint.v3.LbEndpoint)."""

from typing import TYPE_CHECKING, Any

from meshproxy.net.connection import address_text
from meshproxy.upstream.stats import EndpointStats

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.pool import Pool

Address = tuple[str, int]
Locality = tuple[str, str, str]

# Why an endpoint is not healthy, as Envoy's /clusters writes it: what discovery says of it, ...
FAILED_EDS_HEALTH = "failed_eds_health"
DEGRADED_EDS_HEALTH = "degraded_eds_health"
EDS_STATUS_DRAINING = "eds_status_draining"
# ... and what was found out about it here.
FAILED_ACTIVE_HC = "failed_active_hc"
FAILED_OUTLIER_CHECK = "failed_outlier_check"
DEGRADED_ACTIVE_HC = "degraded_active_hc"
PENDING_ACTIVE_HC = "pending_active_hc"
EXCLUDED_VIA_IMMEDIATE_HC_FAIL = "excluded_via_immediate_hc_fail"

_UNHEALTHY = frozenset({FAILED_EDS_HEALTH, EDS_STATUS_DRAINING, FAILED_ACTIVE_HC, FAILED_OUTLIER_CHECK})
_DEGRADED = frozenset({DEGRADED_EDS_HEALTH, DEGRADED_ACTIVE_HC})
_EXCLUDED = frozenset({EDS_STATUS_DRAINING, PENDING_ACTIVE_HC, EXCLUDED_VIA_IMMEDIATE_HC_FAIL})


class Endpoint:
    """address: (host, port), or (path, 0) for a unix socket. hostname: the name it was resolved from, or "".

    locality: (region, zone, sub_zone). health_flags: reasons why it is not plainly healthy; empty for healthy.
    """

    __slots__ = (
        "address", "address_text", "canary", "cluster", "degraded", "excluded", "health_flags", "healthy",
        "healthy_since", "hostname", "locality", "locality_weight", "metadata", "pools", "priority", "source_pools",
        "stats", "weight",
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
        self.health_flags: tuple[str, ...] = ()
        # Picked first; picked for what the healthy ones cannot carry; not counted among those that ought to be healthy.
        self.healthy = True
        self.degraded = self.excluded = False
        # When it began to be healthy, in seconds of the monotonic clock: its slow start is counted from then.
        self.healthy_since: float | None = None
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

    def move(self, address: Address) -> None:
        """New connections go to another address (LOGICAL_DNS); the ones that are there stay."""
        self.address = address
        self.address_text = address_text(address)

    def at(self, address: Address) -> "Endpoint":
        """What the configuration says of a name, for one of its addresses."""
        endpoint = Endpoint(address, self.hostname, self.weight, self.priority, self.locality, self.metadata)
        endpoint.locality_weight = self.locality_weight
        endpoint.set_health(self.health_flags)
        return endpoint

    def adopt(self, fresh: "Endpoint") -> None:
        """Takes over what a newer configuration says of the same address; connections and load stay."""
        self.hostname = fresh.hostname
        self.weight = fresh.weight
        self.priority = fresh.priority
        self.locality = fresh.locality
        self.locality_weight = fresh.locality_weight
        self.metadata = fresh.metadata
        self.canary = fresh.canary
        configured = (FAILED_EDS_HEALTH, DEGRADED_EDS_HEALTH, EDS_STATUS_DRAINING)
        found = tuple(flag for flag in self.health_flags if flag not in configured)
        self.set_health(fresh.health_flags + found)

    def close(self) -> None:
        """The endpoint left the cluster: idle connections go now, busy ones once they are done."""
        for pool in (*self.pools, *self.source_pools.values()):
            if pool is not None:
                pool.drain()

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
