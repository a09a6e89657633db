"""Least request (envoy.extensions.load_balancing_policies.least_request)."""

from random import choice, random
from typing import Any

from meshproxy.upstream.balancers.edf import EdfTable
from meshproxy.upstream.endpoint import Endpoint


class LeastRequest:
    """With equal weights: the least loaded of `choice_count` endpoints drawn at random, or of all with `full_scan`.

    With different weights: a weighted turn in which a weight counts less the more requests an endpoint has
    (weight / (active requests + 1) ** bias).
    """

    __slots__ = ("_bias", "_choice_count", "_full_scan", "_table", "_weighted")

    def __init__(self, choice_count: int = 2, bias: float = 1.0, full_scan: bool = False) -> None:
        self._choice_count = choice_count
        self._bias = bias
        self._full_scan = full_scan
        self._table: list[Endpoint] = []
        self._weighted: EdfTable | None = None

    def update(self, endpoints: list[Endpoint]) -> None:
        self._table = endpoints
        differ = len({endpoint.weight for endpoint in endpoints}) > 1
        self._weighted = EdfTable(endpoints, self._weigh) if differ else None

    def pick(self, stream: Any) -> Endpoint | None:
        if self._weighted is not None:
            return self._weighted.pick()
        table = self._table
        if not table:
            return None
        if self._full_scan:
            return self._scan()
        size = len(table)
        best = table[int(random() * size)]
        for _ in range(self._choice_count - 1):
            other = table[int(random() * size)]
            if other.stats.rq_active < best.stats.rq_active:
                best = other
        return best

    def _scan(self) -> Endpoint:
        least = min(endpoint.stats.rq_active for endpoint in self._table)
        return choice([endpoint for endpoint in self._table if endpoint.stats.rq_active == least])

    def _weigh(self, endpoint: Endpoint) -> float:
        weight: float = endpoint.weight / (endpoint.stats.rq_active + 1) ** self._bias
        return weight
