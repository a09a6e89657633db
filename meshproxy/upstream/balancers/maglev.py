"""Maglev (envoy.extensions.load_balancing_policies.maglev): host for host as Envoy.

https://research.google.com/pubs/archive/44824.pdf: a table in which every endpoint has its share of the places, taken
in turn by preference; the preferences of an endpoint are a walk through the table that its key decides.
"""

from array import array
from collections.abc import Generator
from operator import itemgetter

from xxhash import xxh64_intdigest

from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.balancers.bounded_load import BoundedLoad
from meshproxy.upstream.balancers.hash_keys import name_for_hash
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.hash_balancer import HashTable, Weighted

TABLE_SIZE = 65537
_MASK = (1 << 64) - 1
# Places that are given out between two chances for others to have a turn.
_STRIDE = 512


class MaglevStats(StatGroup):
    """`cluster.<name>.maglev_lb.*`."""

    GAUGES = ("max_entries_per_host", "min_entries_per_host")
    SAME = frozenset(GAUGES)
    __slots__ = GAUGES


class MaglevTable:
    """`places`: for each place the number of its endpoint."""

    __slots__ = ("_endpoints", "_places", "_size")

    def __init__(self, endpoints: list[Endpoint], places: "array[int]") -> None:
        self._endpoints = endpoints
        self._places = places
        self._size = len(places)

    def choose(self, number: int, attempt: int) -> Endpoint | None:
        if not self._endpoints:
            return None
        if attempt:
            number ^= (_MASK - attempt + 1) & _MASK
        return self._endpoints[self._places[number % self._size]]


class Maglev:
    """size: a prime. balance: percent of the average load that an endpoint may have (hash_balance_factor); 0 any."""

    __slots__ = ("_balance", "_by_hostname", "_size", "stats")

    def __init__(
        self, stats: MaglevStats, size: int = TABLE_SIZE, by_hostname: bool = False, balance: int = 0
    ) -> None:
        self.stats = stats
        self._size = size
        self._by_hostname = by_hostname
        self._balance = balance

    def table(self, weighted: Weighted, previous: HashTable | None) -> Generator[None, None, HashTable]:
        if not weighted.shares:
            return MaglevTable([], array("I"))
        named: list[tuple[bytes, Endpoint, float]] = []
        for at in range(0, len(weighted.shares), _STRIDE):
            part = weighted.shares[at : at + _STRIDE]
            named += [(each.hash_key or name_for_hash(each, self._by_hostname), each, share) for each, share in part]
            yield
        # The order decides who gets a place that two prefer.
        named.sort(key=itemgetter(0))
        yield
        table = yield from self._fill(named, weighted.most)
        return BoundedLoad(table, weighted, self._balance) if self._balance else table

    def _fill(
        self, named: list[tuple[bytes, Endpoint, float]], most: float
    ) -> Generator[None, None, MaglevTable]:
        size = self._size
        count = len(named)
        at, skip = yield from self._preferences([key for key, _, _ in named])
        weights = [weight for _, _, weight in named]
        targets = [0.0] * count
        entries = [0] * count
        taken = bytearray(size)
        places = array("I", bytes(4 * size))
        left, iteration = size, 0
        while left:
            iteration += 1
            for i in range(count):
                # Who has a third of the largest weight has a turn in every third round.
                if iteration * weights[i] < targets[i]:
                    continue
                targets[i] += most
                place, step = at[i], skip[i]
                while taken[place]:
                    place += step
                    if place >= size:
                        place -= size
                taken[place] = 1
                places[place] = i
                place += step
                at[i] = place - size if place >= size else place
                entries[i] += 1
                left -= 1
                # The fuller the table is, the longer the walk to a free place.
                if not left % _STRIDE or left < _STRIDE:
                    yield
                    if not left:
                        break
        self.stats.min_entries_per_host = min(entries)
        self.stats.max_entries_per_host = max(entries)
        return MaglevTable([endpoint for _, endpoint, _ in named], places)

    def _preferences(self, keys: list[bytes]) -> Generator[None, None, tuple[list[int], list[int]]]:
        """For each key where its walk through the table begins, and how long its steps are."""
        size = self._size
        begin: list[int] = []
        step: list[int] = []
        for first in range(0, len(keys), _STRIDE):
            part = keys[first : first + _STRIDE]
            begin += [xxh64_intdigest(key) % size for key in part]
            step += [xxh64_intdigest(key, 1) % (size - 1) + 1 for key in part]
            yield
        return begin, step
