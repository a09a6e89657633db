"""Earliest deadline first: a weighted turn (Envoy's EdfScheduler).

Each entry is due every 1/weight; who is due first is next. Equal deadlines keep the order in which they were set.
"""

from collections.abc import Callable
from heapq import heapify, heapreplace
from random import randrange

from meshproxy.upstream.endpoint import Endpoint


class EdfTable:
    """`weigh(endpoint)` is asked again each time an endpoint was picked. It starts at a random place in the cycle."""

    __slots__ = ("_heap", "_order", "_weigh")

    def __init__(self, endpoints: list[Endpoint], weigh: Callable[[Endpoint], float]) -> None:
        self._weigh = weigh
        self._heap = [(1.0 / weigh(endpoint), order, endpoint) for order, endpoint in enumerate(endpoints)]
        self._order = len(endpoints)
        heapify(self._heap)
        for _ in range(randrange(len(endpoints))):
            self.pick()

    def pick(self) -> Endpoint:
        heap = self._heap
        due, _, endpoint = heap[0]
        self._order += 1
        heapreplace(heap, (due + 1.0 / self._weigh(endpoint), self._order, endpoint))
        return endpoint
