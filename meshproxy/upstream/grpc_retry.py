"""Which calls of our own are made again (envoy.config.core.v3.RetryPolicy)."""

from collections.abc import Set
from dataclasses import dataclass

from meshproxy.http.failures import Failure
from meshproxy.net.randomness import source

_random = source("grpc retries")
_STATUSES = {"cancelled": 1, "deadline-exceeded": 4, "resource-exhausted": 8, "internal": 13, "unavailable": 14}


@dataclass(frozen=True, slots=True)
class GrpcRetries:
    """conditions: as `retry_on` names them. base, most: seconds between tries, at first and at the longest."""

    most_tries: int
    conditions: Set[str]
    base: float
    most: float

    def wants(self, tries: int, status: int, failure: Failure | None) -> bool:
        """Whether a call that has failed so is made again; tries: how often it was already. failure: of its stream."""
        if tries > self.most_tries:
            return False
        conditions = self.conditions
        if any(name in conditions and number == status for name, number in _STATUSES.items()):
            return True
        if failure is None:
            return False
        if not conditions.isdisjoint(("5xx", "gateway-error", "reset")):
            return True
        if failure.flag == "UF":
            return "connect-failure" in conditions
        return failure.unprocessed and "refused-stream" in conditions

    def pause(self, tries: int) -> float:
        """Seconds until the next try: exponential, with full jitter."""
        return _random.uniform(0.0, min(self.base * 2 ** (tries - 1), self.most))
