"""Balancers that pick by the hash of a request, so that equal requests go to the same endpoint (ring hash, maglev).

As in Envoy they know no degraded endpoints and no zones, and take the priority from the hash too.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple, Protocol

from meshproxy.net.randomness import source
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.host_set import HostSet, LocalityHosts, group_endpoints
from meshproxy.upstream.priorities import PrioritySettings
from meshproxy.upstream.priority_loads import PriorityLoads
from meshproxy.upstream.stats import ClusterStats

# Endpoints looked at between two chances for somebody else to have a turn.
_STRIDE = 1024

_getrandbits = source("balancing").getrandbits


class Weighted(NamedTuple):
    """Endpoints with their shares of the whole, which sum up to 1; least and most: the smallest and largest share."""

    shares: list[tuple[Endpoint, float]]
    least: float
    most: float


class HashTable(Protocol):
    """attempt: how many endpoints were refused for the same try; each further one moves on."""

    def choose(self, number: int, attempt: int) -> Endpoint | None: ...


class HashPolicy(Protocol):
    """Makes tables; `previous` is the one whose place the new one takes, of which it may keep something."""

    def table(self, weighted: Weighted, previous: HashTable | None) -> Generator[None, None, HashTable]: ...


# From what is on its way to an endpoint to its 64-bit hash; None where it has none.
Hashing = Callable[[Any], int | None]


class HashBalancer:
    """`hashing`: the cluster's own, in place of the route's; None where the route decides."""

    __slots__ = ("_loads", "_policy", "_stats", "_tables", "hashing", "locality_weight", "pick", "settings")

    def __init__(self, policy: HashPolicy, stats: ClusterStats, settings: PrioritySettings | None = None) -> None:
        self._policy = policy
        self._stats = stats
        self.settings = settings or PrioritySettings()
        self.locality_weight: Callable[[int, LocalityHosts], int] = _configured_weight
        self.hashing: Hashing | None = None
        self._loads = PriorityLoads([100], [0], [False])
        self._tables: list[HashTable] = []
        self.pick = self._pick

    def update(self, endpoints: list[Endpoint]) -> None:
        for _ in self.rebuild(endpoints):
            pass

    def rebuild(self, endpoints: list[Endpoint]) -> Iterator[None]:
        settings = self.settings
        sets = yield from group_endpoints(endpoints, settings.local)
        loads = settings.share(sets)
        tables = []
        for priority, host_set in enumerate(sets):
            weighted = yield from self._weigh(priority, host_set, loads.panic[priority])
            previous = self._tables[priority] if priority < len(self._tables) else None
            tables.append((yield from self._policy.table(weighted, previous)))
        self._tables, self._loads = tables, loads

    def _pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        loads = self._loads
        number = self._hash(stream)
        priority = 0 if loads.healthy[0] == 100 else loads.choose(number)[0]
        if loads.panic[priority] and not attempt:
            self._stats.lb_healthy_panic += 1
        return self._tables[priority].choose(number, attempt) if self._tables else None

    def _hash(self, stream: Any) -> int:
        number: int | None = None
        if stream is not None:
            number = stream.hash_key() if self.hashing is None else self.hashing(stream)
        return _getrandbits(64) if number is None else number

    def _weigh(self, priority: int, host_set: HostSet, panics: bool) -> Generator[None, None, Weighted]:
        shares: list[tuple[Endpoint, float]] = []
        if not self.settings.locality_weighted:
            yield from _add_shares(shares, host_set.all if panics else host_set.healthy, 1.0)
        else:
            weights = [self.locality_weight(priority, hosts) for hosts in host_set.localities]
            total = sum(weights)
            for hosts, weight in zip(host_set.localities, weights, strict=True):
                if weight:
                    yield from _add_shares(shares, hosts.all if panics else hosts.healthy, weight / total)
        found = [share for _, share in shares]
        return Weighted(shares, min(found, default=1.0), max(found, default=0.0))


def _add_shares(shares: list[tuple[Endpoint, float]], endpoints: list[Endpoint], part: float) -> Iterator[None]:
    total = sum([endpoint.weight for endpoint in endpoints])
    for at in range(0, len(endpoints), _STRIDE):
        # In this order, as Envoy has it: the last bit of a product may decide who owns a place on the ring.
        shares += [(each, each.weight * part / total) for each in endpoints[at : at + _STRIDE]]
        yield


def _configured_weight(priority: int, hosts: LocalityHosts) -> int:
    return hosts.weight
