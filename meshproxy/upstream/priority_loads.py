"""How much of the traffic each priority gets, and which of them panic (Envoy's LoadBalancerBase).

A priority can carry as much of the traffic as its share of healthy endpoints times the overprovisioning factor; what is
left goes to the next one, and then to degraded endpoints. Where all priorities together cannot carry everything, each
one with too few usable endpoints panics and uses all that it has, healthy or not.
"""

from collections.abc import Container, Sequence

from meshproxy.upstream.host_set import Hosts

OVERPROVISIONING = 140  # percent


class PriorityLoads:
    """By priority. healthy, degraded: percent of the traffic, 100 in all. panic: whether it uses everything it has.

    available: what each could carry, with its healthy and with its degraded endpoints.
    """

    __slots__ = ("available", "degraded", "healthy", "panic")

    def __init__(
        self, healthy: list[int], degraded: list[int], panic: list[bool], available: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.healthy = healthy
        self.degraded = degraded
        self.panic = panic
        self.available = available

    def without(self, excluded: Container[int]) -> "PriorityLoads | None":
        """The shares as if these priorities carried nothing; None where the others cannot carry anything."""
        left = [(0, 0) if at in excluded else each for at, each in enumerate(self.available)]
        total = min(100, sum(map(sum, left)))
        if not total:
            return None
        healthy, degraded = [0] * len(left), [0] * len(left)
        load = 100
        # Again where rounding left something over.
        while load:
            for shares, column in ((healthy, 0), (degraded, 1)):
                for at, each in enumerate(left):
                    part = min(load, each[column] * 100 // total)
                    shares[at] += part
                    load -= part
        return PriorityLoads(healthy, degraded, self.panic, self.available)

    def choose(self, number: int) -> tuple[int, bool]:
        """The priority for a random number or a hash, and whether its degraded endpoints are meant."""
        at = number % 100
        for priority, load in enumerate(self.healthy):
            at -= load
            if at < 0:
                return priority, False
        for priority, load in enumerate(self.degraded):
            at -= load
            if at < 0:
                return priority, True
        raise AssertionError("the loads do not add up to 100")


def share_load(sets: Sequence[Hosts], available: list[tuple[int, int]], threshold: float) -> PriorityLoads:
    """available: what each can carry (`Hosts.available`). threshold: of panic, in percent of usable endpoints."""
    total = min(100, sum(map(sum, available)))
    healthy, left = _distribute([each for each, _ in available], 100, total)
    degraded, left = _distribute([each for _, each in available], left, total)
    loads = PriorityLoads(healthy, degraded, [False] * len(sets), available)
    if not total and not threshold:
        healthy[0] = 100
        return loads
    if total and left:
        # What rounding left over.
        first = next((i for i, (share, _) in enumerate(available) if share), None)
        if first is not None:
            healthy[first] += left
        else:
            degraded[next(i for i, (_, share) in enumerate(available) if share)] += left
    loads.panic = [total < 100 and hosts.panics(threshold) for hosts in sets]
    if all(loads.panic):
        loads.healthy, loads.degraded = _by_size(sets), [0] * len(sets)
    return loads


def _distribute(shares: list[int], left: int, total: int) -> tuple[list[int], int]:
    loads = []
    for share in shares:
        load = min(left, share * 100 // total) if total else 0
        loads.append(load)
        left -= load
    return loads, left


def _by_size(sets: Sequence[Hosts]) -> list[int]:
    """Every priority panics: each gets its share of all endpoints."""
    sizes = [len(hosts.all) for hosts in sets]
    count = sum(sizes)
    loads = [100 * size // count if count else 0 for size in sizes]
    first = next((i for i, size in enumerate(sizes) if size), 0)
    loads[first] += 100 - sum(loads)
    return loads
