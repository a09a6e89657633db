"""Least request (envoy.extensions.load_balancing_policies.least_request)."""

from collections.abc import Callable, Generator
from typing import Any

from meshproxy.net.randomness import source
from meshproxy.net.runtime import Runtime
from meshproxy.upstream.balancers.edf import weighted_turn
from meshproxy.upstream.balancers.slow_start import SlowStart
from meshproxy.upstream.balancers.table import Table, weights_differ
from meshproxy.upstream.endpoint import Endpoint

_chance = source("balancing")
# The least number above 0.
_LEAST = 5e-324
_random, _choice = _chance.random, _chance.choice


class LeastLoaded:
    """The least loaded of `choices` endpoints drawn at random; the first drawn where several are."""

    __slots__ = ("_endpoints", "_others")

    def __init__(self, endpoints: list[Endpoint], choices: int) -> None:
        self._endpoints = endpoints
        self._others = choices - 1

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        endpoints = self._endpoints
        size = len(endpoints)
        if not size:
            return None
        best = endpoints[int(_random() * size)]
        for _ in range(self._others):
            other = endpoints[int(_random() * size)]
            if other.stats.rq_active < best.stats.rq_active:
                best = other
        return best


class Scan:
    """The least loaded of all endpoints; any of them where several are."""

    __slots__ = ("_endpoints",)

    def __init__(self, endpoints: list[Endpoint]) -> None:
        self._endpoints = endpoints

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        endpoints = self._endpoints
        if not endpoints:
            return None
        least = min([endpoint.stats.rq_active for endpoint in endpoints])
        return _choice([endpoint for endpoint in endpoints if endpoint.stats.rq_active == least])


class LeastRequest:
    """With equal weights: the least loaded of `choice_count` endpoints drawn at random, or of all with `full_scan`.

    With different weights: a weighted turn in which a weight counts less the more requests an endpoint has
    (weight / (active requests + 1) ** bias). runtime, bias_key: the bias is looked up when endpoints change.
    """

    __slots__ = ("_bias", "_bias_key", "_choice_count", "_configured_bias", "_full_scan", "_runtime", "_slow_start")

    def __init__(
        self, choice_count: int = 2, bias: float = 1.0, full_scan: bool = False, slow_start: SlowStart | None = None,
        runtime: Runtime | None = None, bias_key: str = "",
    ) -> None:  # fmt: skip
        self._choice_count = choice_count
        self._configured_bias = self._bias = bias
        self._full_scan = full_scan
        self._slow_start = slow_start
        self._runtime = runtime
        self._bias_key = bias_key

    def table(self, endpoints: list[Endpoint], previous: Table | None) -> Generator[None, None, Table]:
        if self._runtime is not None:
            bias = self._runtime.number(self._bias_key, self._configured_bias)
            self._bias = bias if bias >= 0 else 1.0
        slow_start = self._slow_start
        if slow_start is not None:
            slow_start.note(endpoints)
        slow = slow_start is not None and slow_start.active()
        if len(endpoints) < 2 or not (slow or weights_differ(endpoints)):
            return Scan(endpoints) if self._full_scan else LeastLoaded(endpoints, self._choice_count)
        weigh: Callable[[Endpoint], float] = self._weigh
        if slow and slow_start is not None:
            weigh = slow_start.weighing(weigh)
        return (yield from weighted_turn(endpoints, weigh))

    def _weigh(self, endpoint: Endpoint) -> float:
        try:
            weight: float = endpoint.weight / (endpoint.stats.rq_active + 1) ** self._bias
        except OverflowError:
            # A bias may be any number: this endpoint comes last.
            return _LEAST
        return weight
