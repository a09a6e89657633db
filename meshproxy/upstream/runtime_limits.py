"""Thresholds of circuit breakers that an operator sets while the proxy runs.

Runtime keys `circuit_breakers.<cluster>.<priority>.<field>`, in place of what the cluster's configuration says. They
are looked for when the runtime changes, so that a request need not.
"""

from meshproxy.net.count import Count
from meshproxy.net.runtime import Runtime
from meshproxy.upstream.cluster import Clusters

_PREFIX = "circuit_breakers."
_PRIORITIES = {"default": 0, "high": 1}
_FIELDS = {
    "max_connections": "connections",
    "max_pending_requests": "pending",
    "max_requests": "requests",
    "max_retries": "retries",
    "max_connection_pools": "pools",
}


class RuntimeLimits:
    """Of all clusters. others: counts by keys of their own."""

    def __init__(self, clusters: Clusters, runtime: Runtime, others: dict[str, Count]) -> None:
        self._clusters = clusters
        self._others = others
        self._runtime = runtime
        # What the configuration says where the runtime says something else.
        self._configured: dict[Count, int] = {}

    def apply(self) -> None:
        """Brings all of them up to date."""
        for count, maximum in self._configured.items():
            count.maximum = maximum
        self._configured.clear()
        for key in self._runtime.keys_below(_PREFIX):
            if (found := self._find(key)) is not None:
                self._set(found, key)
        for key, count in self._others.items():
            self._set(count, key)

    def _set(self, count: Count, key: str) -> None:
        self._configured[count] = count.maximum
        count.maximum = self._runtime.integer(key, count.maximum)

    def _find(self, key: str) -> Count | None:
        # The name of a cluster may have dots.
        name, _, rest = key.removeprefix(_PREFIX).rpartition(".")
        name, _, priority = name.rpartition(".")
        cluster = self._clusters.by_name.get(name)
        if cluster is None or priority not in _PRIORITIES or rest not in _FIELDS:
            return None
        count: Count = getattr(cluster.limits[_PRIORITIES[priority]], _FIELDS[rest])
        return count
