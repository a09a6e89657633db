"""Which endpoints are picked from: the share of each priority, and panic (Envoy's LoadBalancerBase).

A priority serves as much of the traffic as its healthy share times the overprovisioning factor; what is left goes to
the next one. Where all priorities together cannot carry everything, each one with too few healthy endpoints panics and
uses all that it has, healthy or not.
"""

from collections.abc import Callable
from random import randrange
from typing import Any, Protocol

from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.stats import ClusterStats

OVERPROVISIONING = 140  # percent


class Balancer(Protocol):
    """Picks from a table that was prepared when the endpoints changed."""

    def update(self, endpoints: list[Endpoint]) -> None: ...
    def pick(self, stream: Any) -> Endpoint | None: ...


class HostSet:
    """One priority: its endpoints that may be picked, its balancer, and its share in percent."""

    __slots__ = ("balancer", "load", "panic")

    def __init__(self, balancer: Balancer) -> None:
        self.balancer = balancer
        self.load = 0
        self.panic = False


class PriorityBalancer:
    """panic_threshold: percent of healthy endpoints below which a priority panics; 0 never.

    fail_on_panic: then it picks nothing instead of everything (fail_traffic_on_panic).
    """

    __slots__ = ("_fail_on_panic", "_make", "_only", "_panic_threshold", "_sets", "_stats", "overprovisioning")

    def __init__(
        self, make: Callable[[], Balancer], stats: ClusterStats, panic_threshold: float = 50.0,
        fail_on_panic: bool = False,
    ) -> None:  # fmt: skip
        self._make = make
        self._stats = stats
        self._panic_threshold = panic_threshold
        self._fail_on_panic = fail_on_panic
        self.overprovisioning = OVERPROVISIONING
        self._sets: list[HostSet] = []
        # The balancer that answers at once where one priority carries everything and does not panic.
        self._only: Balancer | None = None

    def update(self, endpoints: list[Endpoint]) -> None:
        levels = max((endpoint.priority for endpoint in endpoints), default=0) + 1
        groups: list[list[Endpoint]] = [[] for _ in range(levels)]
        for endpoint in endpoints:
            groups[endpoint.priority].append(endpoint)
        del self._sets[levels:]
        while len(self._sets) < levels:
            self._sets.append(HostSet(self._make()))
        self._share(groups)
        for group, host_set in zip(groups, self._sets, strict=True):
            host_set.balancer.update(group if host_set.panic else [endpoint for endpoint in group if endpoint.healthy])
        self._only = next((each.balancer for each in self._sets if each.load == 100 and not each.panic), None)

    def pick(self, stream: Any) -> Endpoint | None:
        """None where no endpoint may be used."""
        only = self._only
        if only is not None:
            return only.pick(stream)
        at = randrange(100)
        for host_set in self._sets:
            at -= host_set.load
            if at < 0:
                break
        else:
            return None
        if host_set.panic:
            self._stats.lb_healthy_panic += 1
            if self._fail_on_panic:
                return None
        return host_set.balancer.pick(stream)

    def _share(self, groups: list[list[Endpoint]]) -> None:
        healthy = [sum(endpoint.healthy for endpoint in group) for group in groups]
        available = [
            min(100, self.overprovisioning * good // len(group)) if group else 0
            for good, group in zip(healthy, groups, strict=True)
        ]
        total = min(100, sum(available))
        left = 100
        for host_set, share, good, group in zip(self._sets, available, healthy, groups, strict=True):
            host_set.load = min(left, share * 100 // total) if total else 0
            left -= host_set.load
            host_set.panic = total < 100 and (100.0 * good / len(group) if group else 0.0) < self._panic_threshold
        if all(host_set.panic for host_set in self._sets):
            self._share_panic(groups)
        elif not total:
            self._sets[0].load = 100
        elif left:
            # What rounding left over.
            next(host_set for host_set in self._sets if host_set.load).load += left

    def _share_panic(self, groups: list[list[Endpoint]]) -> None:
        """Every priority panics: each gets its share of all endpoints."""
        count = sum(map(len, groups))
        left = 100
        for host_set, group in zip(self._sets, groups, strict=True):
            host_set.load = 100 * len(group) // count if count else 0
            left -= host_set.load
        self._sets[0].load += left
