"""The endpoints of one priority by health and by locality (Envoy's HostSet)."""

from collections.abc import Generator

from meshproxy.upstream.endpoint import Endpoint, Locality

# Endpoints looked at between two chances for somebody else to have a turn.
STRIDE = 256


class Hosts:
    """Endpoints by health; `excluded` counts those of `all` that say nothing about how many are healthy."""

    __slots__ = ("all", "degraded", "excluded", "healthy")

    def __init__(self) -> None:
        self.all: list[Endpoint] = []
        self.healthy: list[Endpoint] = []
        self.degraded: list[Endpoint] = []
        self.excluded = 0

    def add(self, endpoint: Endpoint) -> None:
        self.all.append(endpoint)
        if endpoint.healthy:
            self.healthy.append(endpoint)
        elif endpoint.degraded:
            self.degraded.append(endpoint)
        if endpoint.excluded:
            self.excluded += 1

    @property
    def counted(self) -> int:
        """How many ought to be healthy."""
        return len(self.all) - self.excluded

    def available(self, overprovisioning: int, by_weight: bool) -> tuple[int, int]:
        """How much of its traffic this can carry, in percent up to 100: healthy endpoints, and degraded ones."""
        if not self.counted:
            return 0, 0
        healthy, degraded, total = len(self.healthy), len(self.degraded), self.counted
        if by_weight:
            healthy = sum([each.weight for each in self.healthy])
            degraded = sum([each.weight for each in self.degraded])
            total = sum([each.weight for each in self.all if not each.excluded])
        return min(100, overprovisioning * healthy // total), min(100, overprovisioning * degraded // total)

    def panics(self, threshold: float) -> bool:
        """Whether fewer than `threshold` percent may be used."""
        count = self.counted
        return (100.0 * (len(self.healthy) + len(self.degraded)) / count if count else 0.0) < threshold


class LocalityHosts(Hosts):
    """Those of one locality. weight: what the configuration says of the locality; 0 where it says nothing."""

    __slots__ = ("locality", "weight")

    def __init__(self, locality: Locality) -> None:
        super().__init__()
        self.locality = locality
        self.weight = 0

    def carries(self, usable: list[Endpoint], overprovisioning: int) -> float:
        """How much of its weight counts: less than 1 where not enough of its endpoints are usable."""
        return min(1.0, overprovisioning / 100.0 * (len(usable) / self.counted)) if self.counted else 0.0


class HostSet(Hosts):
    """`localities`: the proxy's own comes first, where there are endpoints in it; then by name."""

    __slots__ = ("has_local", "localities")

    def __init__(self) -> None:
        super().__init__()
        self.localities: list[LocalityHosts] = []
        self.has_local = False


def group_endpoints(endpoints: list[Endpoint], local: Locality) -> Generator[None, None, list[HostSet]]:
    """One host set for each priority, at least one. local: the locality of this proxy."""
    sets: list[HostSet] = [HostSet()]
    found: list[dict[Locality, LocalityHosts]] = [{}]
    for count, endpoint in enumerate(endpoints):
        while endpoint.priority >= len(sets):
            sets.append(HostSet())
            found.append({})
        sets[endpoint.priority].add(endpoint)
        localities = found[endpoint.priority]
        hosts = localities.get(endpoint.locality)
        if hosts is None:
            hosts = localities[endpoint.locality] = LocalityHosts(endpoint.locality)
        hosts.weight = endpoint.locality_weight
        hosts.add(endpoint)
        if not count % STRIDE:
            yield
    for host_set, localities in zip(sets, found, strict=True):
        host_set.has_local = local in localities
        host_set.localities = sorted(localities.values(), key=lambda each: (each.locality != local, each.locality))
    return sets
