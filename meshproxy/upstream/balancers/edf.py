"""Earliest deadline first: a weighted turn (Envoy's EdfScheduler).

Each entry is due every 1/weight; who is due first is next. Equal deadlines keep the order in which they were set.
"""

from collections.abc import Callable, Generator, Iterable
from heapq import heapify, heapreplace
from math import floor
from typing import Any, Generic, TypeVar

from meshproxy.net.randomness import source
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.host_set import STRIDE

T = TypeVar("T")

_random = source("balancing").random


class EdfTable(Generic[T]):
    """`weigh(entry)` is asked again each time an entry was picked. It starts at a random place in the cycle."""

    __slots__ = ("_heap", "_order", "_weigh")

    def __init__(self, entries: Iterable[T], weigh: Callable[[T], float]) -> None:
        self._weigh = weigh
        # As if it had been in use for this long: an entry of weight w has had floor(w * start) turns by then.
        start = _random()
        self._heap = [
            ((floor(weight * start) + 1) / weight, order, entry)
            for order, entry in enumerate(entries)
            if (weight := weigh(entry)) > 0
        ]
        self._order = len(self._heap)
        heapify(self._heap)

    def __bool__(self) -> bool:
        """Whether there is anything that has a weight."""
        return bool(self._heap)

    def next(self) -> T:
        heap = self._heap
        due, _, entry = heap[0]
        self._order += 1
        heapreplace(heap, (due + 1.0 / self._weigh(entry), self._order, entry))
        return entry


class WeightedTurn(EdfTable[Endpoint]):
    """Endpoints in a weighted turn, as a table to pick from."""

    __slots__ = ()

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        return self.next()


def weighted_turn(
    endpoints: list[Endpoint], weigh: Callable[[Endpoint], float]
) -> Generator[None, None, WeightedTurn]:
    """The table of many endpoints, with chances for others to have a turn."""
    entries: list[Endpoint] = []
    for at in range(0, len(endpoints), STRIDE):
        entries += endpoints[at : at + STRIDE]
        yield
    return WeightedTurn(entries, weigh)
