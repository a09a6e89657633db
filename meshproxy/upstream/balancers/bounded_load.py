"""Consistent hashing with bounded loads (hash_balance_factor): nobody gets far more than the average.

https://arxiv.org/abs/1608.01350, with random jumps: https://arxiv.org/abs/1908.08762. The jumps are those that Envoy
makes, a shuffle by a Mersenne twister that the hash seeds.
"""

from collections.abc import Iterator
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any

from meshproxy.upstream.endpoint import Endpoint

if TYPE_CHECKING:
    from meshproxy.upstream.hash_balancer import HashTable, Weighted


class BoundedLoad:
    """table: what the hash says. balance: percent of the average load that an endpoint may have."""

    __slots__ = ("_balance", "_shares", "_weights", "table")

    def __init__(self, table: "HashTable", weighted: "Weighted", balance: int) -> None:
        self.table = table
        self._balance = balance
        self._shares = weighted.shares
        self._weights = dict(weighted.shares)

    def choose(self, number: int, attempt: int) -> Endpoint | None:
        first = self.table.choose(number, attempt)
        if first is None:
            return None
        least = self._load(first, self._weights[first])
        if least <= 1.0:
            return first
        best = first
        for at in _shuffled(len(self._shares), number):
            other, weight = self._shares[at]
            if other is first:
                continue
            load = self._load(other, weight)
            if load <= 1.0:
                return other
            if load < least:
                best, least = other, load
        return best

    def _load(self, endpoint: Endpoint, weight: float) -> float:
        """How much of its slots it uses."""
        cluster: Any = endpoint.cluster
        active = int(cluster.stats.upstream_rq_active) if cluster is not None else 0
        slots = max(1, ceil(((active + 1) * self._balance + 99) // 100 * weight))
        return int(endpoint.stats.rq_active) / slots


def _shuffled(count: int, seed: int) -> Iterator[int]:
    places = list(range(count))
    words = _mt19937(seed & 0xFFFFFFFF)
    for at in range(count):
        left = count - at
        # Of the twister's numbers those are passed over that would make the first ones likelier.
        part = (1 << 32) // left
        jump = next(number for word in words if (number := word // part) < left)
        places[at], places[at + jump] = places[at + jump], places[at]
        yield places[at]


def _mt19937(seed: int) -> Iterator[int]:
    """std::mt19937 with that seed: Python's own generator, whose state is made as C++ makes it."""
    state = [seed]
    for i in range(1, 624):
        state.append((1812433253 * (state[-1] ^ (state[-1] >> 30)) + i) & 0xFFFFFFFF)
    twister = Random()
    twister.setstate((3, (*state, 624), None))
    while True:
        yield twister.getrandbits(32)
