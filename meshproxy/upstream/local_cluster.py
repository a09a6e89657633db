"""The cluster that this proxy is a member of: how it is spread over zones decides what leaves the own zone."""

from meshproxy.upstream.cluster import Cluster, Clusters
from meshproxy.upstream.endpoint import Locality
from meshproxy.upstream.host_set import HostSet, group_endpoints


class LocalCluster:
    """name: cluster_manager.local_cluster_name. `hosts` is None until all clusters are there.
    members: how many proxies share what is there for all of them, this one included."""

    __slots__ = ("_clusters", "_locality", "hosts", "members", "name")

    def __init__(self, name: str, locality: Locality, clusters: Clusters) -> None:
        self.name = name
        self._locality = locality
        self._clusters = clusters
        self.hosts: HostSet | None = None
        self.members = 1

    def watch(self, cluster: Cluster) -> None:
        """All clusters are there; `cluster` is the one of that name."""
        cluster.changed.append(self._changed)
        self._changed()

    def _changed(self) -> None:
        own = self._clusters.by_name[self.name]
        self.members = max(1, len(own.endpoints))
        grouping = group_endpoints(own.endpoints, self._locality)
        while True:
            try:
                next(grouping)
            except StopIteration as done:
                self.hosts = done.value[0]
                break
        own.balancer.update(own.endpoints)
        for cluster in self._clusters:
            if cluster is not own:
                cluster.refresh()
