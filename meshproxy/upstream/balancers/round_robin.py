"""Round robin (envoy.extensions.load_balancing_policies.round_robin)."""

from collections.abc import Callable, Generator
from operator import attrgetter
from typing import Any

from meshproxy.net.randomness import source
from meshproxy.upstream.balancers.edf import weighted_turn
from meshproxy.upstream.balancers.slow_start import SlowStart
from meshproxy.upstream.balancers.table import Table, weights_differ
from meshproxy.upstream.endpoint import Endpoint

_weight = attrgetter("weight")
_getrandbits = source("balancing").getrandbits


class Turn:
    """Every endpoint in turn. A table that follows another goes on where that was; workers start at random places."""

    __slots__ = ("_at", "_endpoints", "_size")

    def __init__(self, endpoints: list[Endpoint], previous: Table | None = None) -> None:
        self._endpoints = endpoints
        self._size = len(endpoints)
        self._at: int = previous._at if isinstance(previous, Turn) else _getrandbits(16)

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        size = self._size
        if not size:
            return None
        at = self._at + 1
        self._at = at
        return self._endpoints[at % size]


class RoundRobin:
    """Every endpoint in turn; in proportion where weights differ."""

    __slots__ = ("_slow_start",)

    def __init__(self, slow_start: SlowStart | None = None) -> None:
        self._slow_start = slow_start

    def table(self, endpoints: list[Endpoint], previous: Table | None) -> Generator[None, None, Table]:
        weigh: Callable[[Endpoint], float] = _weight
        slow_start = self._slow_start
        if slow_start is not None:
            slow_start.note(endpoints)
        slow = slow_start is not None and slow_start.active()
        if len(endpoints) < 2 or not (slow or weights_differ(endpoints)):
            return Turn(endpoints, previous)
        if slow and slow_start is not None:
            weigh = slow_start.weighing(weigh)
        return (yield from weighted_turn(endpoints, weigh))
