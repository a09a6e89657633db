"""Round robin (envoy.extensions.load_balancing_policies.round_robin)."""

from operator import attrgetter
from random import randrange
from typing import Any

from meshproxy.upstream.balancers.edf import EdfTable
from meshproxy.upstream.endpoint import Endpoint

_weight = attrgetter("weight")


class RoundRobin:
    """Every endpoint in turn; in proportion where weights differ. Workers start at different places."""

    __slots__ = ("_at", "_table", "_weighted")

    def __init__(self) -> None:
        self._table: list[Endpoint] = []
        self._weighted: EdfTable | None = None
        self._at = randrange(1 << 16)

    def update(self, endpoints: list[Endpoint]) -> None:
        self._table = endpoints
        differ = len({endpoint.weight for endpoint in endpoints}) > 1
        self._weighted = EdfTable(endpoints, _weight) if differ else None

    def pick(self, stream: Any) -> Endpoint | None:
        if self._weighted is not None:
            return self._weighted.pick()
        table = self._table
        if not table:
            return None
        at = self._at + 1
        self._at = at
        return table[at % len(table)]
