"""Aggregate clusters: other clusters in order, each with all of its priorities (envoy.clusters.aggregate).

What goes through one is counted by it as far as answers go; connections, limits and health are those of the cluster in
which the endpoint is.
"""

from collections.abc import Iterator
from typing import Any

from meshproxy.net.randomness import source
from meshproxy.upstream.cluster import Cluster, Clusters
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.host_set import HostSet, group_endpoints
from meshproxy.upstream.pool import Pool
from meshproxy.upstream.priorities import Pick, PriorityBalancer, PrioritySettings
from meshproxy.upstream.priority_loads import PriorityLoads, share_load

_random = source("balancing").random


class AggregateCluster(Cluster):
    """It has no endpoints of its own."""

    __slots__ = ()

    def pool(self, endpoint: Endpoint, priority: int = 0, protocol: str = "HTTP/1.1") -> Pool | None:
        assert endpoint.cluster is not None
        return endpoint.cluster.pool(endpoint, priority, protocol)

    def pool_for(self, stream: Any, endpoint: Endpoint, priority: int, protocol: str = "HTTP/1.1") -> Pool | None:
        assert endpoint.cluster is not None
        return endpoint.cluster.pool_for(stream, endpoint, priority, protocol)


class Aggregate:
    """The balancer of such a cluster, and what follows the others. names: of those, some of which may be missing."""

    __slots__ = ("_clusters", "_followed", "_loads", "_names", "_picks", "_settings", "cluster", "pick")

    def __init__(self, names: list[str], clusters: Clusters, settings: PrioritySettings) -> None:
        self._names = names
        self._clusters = clusters
        self._settings = settings
        # Set once it is there.
        self.cluster: Cluster | None = None
        self._followed: list[Cluster] = []
        # By priority, of all clusters one after the other: what picks from it, where healthy and where degraded ones
        # are meant.
        self._picks: list[tuple[Pick, Pick]] = []
        self._loads = PriorityLoads([100], [0], [False])
        self.pick: Pick = self._pick

    # ---- as what finds endpoints ----

    def start(self) -> None:
        for name in dict.fromkeys(self._names):
            cluster = self._clusters.by_name.get(name)
            # As in Envoy, another aggregate has nothing to offer.
            if cluster is not None and not isinstance(cluster, AggregateCluster):
                cluster.changed.append(self._refresh)
                self._followed.append(cluster)
        self._refresh()

    async def wait(self) -> None: ...

    def close(self) -> None:
        for cluster in self._followed:
            cluster.changed.remove(self._refresh)
        self._followed.clear()

    def _refresh(self) -> None:
        assert self.cluster is not None
        self.cluster.refresh()

    # ---- as a balancer ----

    def update(self, endpoints: list[Endpoint]) -> None:
        for _ in self.rebuild(endpoints):
            pass

    def rebuild(self, endpoints: list[Endpoint]) -> Iterator[None]:
        sets: list[HostSet] = []
        available: list[tuple[int, int]] = []
        picks: list[tuple[Pick, Pick]] = []
        for cluster in self._followed:
            own = yield from group_endpoints(cluster.endpoints, ("", "", ""))
            for priority, host_set in enumerate(own):
                if host_set.all:
                    sets.append(host_set)
                    available.append(host_set.available(cluster.overprovisioning, by_weight=False))
                    picks.append((_picking(cluster, priority, False), _picking(cluster, priority, True)))
        if sets:
            self._loads = share_load(sets, available, self._settings.panic_now())
        self._picks = picks

    def _pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        if not self._picks:
            return None
        priority, degraded = self._loads.choose(int(_random() * 100))
        return self._picks[priority][degraded](stream, attempt)


def _picking(cluster: Cluster, priority: int, degraded: bool) -> Pick:
    """Picks from one priority of a cluster; balancers that take the priority from a hash, or from metadata, do so."""

    def pick(stream: Any, attempt: int = 0) -> Endpoint | None:
        balancer = cluster.balancer
        if not isinstance(balancer, PriorityBalancer):
            return balancer.pick(stream, attempt)
        loads = balancer.loads
        only = [100 if at == priority else 0 for at in range(len(loads.healthy))]
        none = [0] * len(only)
        shares = (none, only) if degraded else (only, none)
        return balancer.pick_by(PriorityLoads(*shares, loads.panic), stream, attempt)

    return pick

