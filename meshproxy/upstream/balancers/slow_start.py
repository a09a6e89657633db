"""Slow start: an endpoint that has just become healthy gets its share little by little (Envoy's SlowStartConfig)."""

import math
import time
from collections.abc import Callable

from meshproxy.net.runtime import Runtime
from meshproxy.upstream.endpoint import Endpoint

Weigh = Callable[[Endpoint], float]


class SlowStart:
    """window: seconds that it takes. least: the share to begin with, as a fraction of the weight.

    aggression: above 1 the share grows faster at first; runtime_key: where the runtime may say another one.
    """

    __slots__ = ("_aggression", "_latest", "_least", "_now", "_runtime", "_runtime_key", "_window")

    def __init__(
        self, window: float, least: float = 0.1, aggression: float = 1.0, runtime: Runtime | None = None,
        runtime_key: str = "", now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._window = window
        self._least = least
        self._aggression = aggression
        self._runtime = runtime
        self._runtime_key = runtime_key
        self._now = now
        # Until when there may be somebody who has not got its whole share.
        self._latest = now() + window

    def note(self, endpoints: list[Endpoint]) -> None:
        """Those who have become healthy begin now, unless a health check has said since when they are."""
        now = self._now()
        for endpoint in endpoints:
            if endpoint.healthy:
                if endpoint.healthy_since is None:
                    endpoint.healthy_since = now
                end = endpoint.healthy_since + self._window
                if now <= end > self._latest:
                    self._latest = end

    def active(self) -> bool:
        return self._now() <= self._latest

    def weighing(self, weigh: Weigh) -> Weigh:
        """Weighs endpoints as `weigh` does, those in their slow start less."""

        def lighter(endpoint: Endpoint) -> float:
            since = endpoint.healthy_since
            weight = weigh(endpoint)
            if since is None or not endpoint.healthy:
                return weight
            passed = self._now() - since
            return weight if passed >= self._window else weight * self._share(passed)

        return lighter

    def _share(self, passed: float) -> float:
        fraction = max(0.001, passed) / self._window
        aggression = self._aggression
        if self._runtime is not None and self._runtime_key:
            aggression = self._runtime.number(self._runtime_key, aggression)
            if not aggression > 0 or math.isinf(aggression):
                aggression = 1.0
        if aggression != 1.0:
            fraction = fraction ** (1.0 / aggression)
        return max(fraction, self._least)
