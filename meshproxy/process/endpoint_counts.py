"""What /clusters shows of each endpoint, counted in the workers and shown by main."""

from collections.abc import Iterable

from meshproxy.upstream.cluster import Clusters
from meshproxy.upstream.endpoint import Address
from meshproxy.upstream.original_dst import OriginalDst
from meshproxy.upstream.stats import EndpointStats

# By (cluster, address): the values of `_NAMES`.
Counts = dict[tuple[str, Address], tuple[int, ...]]

_COUNTERS = len(EndpointStats.COUNTERS)
_NAMES = EndpointStats.COUNTERS + EndpointStats.GAUGES


def take(clusters: Clusters) -> Counts:
    """The counts of this process."""
    return {
        (cluster.name, endpoint.address): tuple([int(getattr(endpoint.stats, name)) for name in _NAMES])
        for cluster in clusters
        for endpoint in cluster.endpoints
    }


def merge(counts: Iterable[Counts]) -> Counts:
    merged: Counts = {}
    for each in counts:
        for key, values in each.items():
            known = merged.get(key)
            merged[key] = values if known is None else tuple([a + b for a, b in zip(known, values, strict=True)])
    return merged


def without_gauges(counts: Counts) -> Counts:
    """What stays of a worker that is gone."""
    gauges = (0,) * (len(_NAMES) - _COUNTERS)
    return {key: values[:_COUNTERS] + gauges for key, values in counts.items()}


def put(clusters: Clusters, counts: Counts) -> None:
    """Gives the endpoints of this process those counts."""
    for cluster in clusters:
        if isinstance(cluster.discovery, OriginalDst):
            cluster.discovery.show([address for name, address in counts if name == cluster.name])
        for endpoint in cluster.endpoints:
            values = counts.get((cluster.name, endpoint.address), ())
            for name, value in zip(_NAMES, values, strict=False):
                setattr(endpoint.stats, name, value)
