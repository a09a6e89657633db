"""A rate limit: tokens that come back steadily, up to a maximum."""

from collections.abc import Callable
from math import ceil


class TokenBucket:
    """Holds `maximum` tokens and gains `per_fill` of them every `interval` seconds, little by little, as in Envoy."""

    __slots__ = ("_clock", "_then", "maximum", "rate", "tokens")

    def __init__(self, maximum: int, per_fill: int, interval: float, clock: Callable[[], float]) -> None:
        self.maximum = maximum
        self.tokens = float(maximum)
        self.rate = per_fill / interval
        self._clock = clock
        self._then = clock()

    def fresh(self) -> "TokenBucket":
        """A full one with the same rate."""
        bucket = TokenBucket(self.maximum, 0, 1, self._clock)
        bucket.rate = self.rate
        return bucket

    def seconds_to_next(self) -> int:
        """Whole seconds until there is a token; 0 where there is one."""
        return 0 if self.tokens >= 1 else ceil((1 - self.tokens) / self.rate)

    def take(self) -> bool:
        """Whether there was a token; it is gone now."""
        now = self._clock()
        self.tokens = min(self.maximum, self.tokens + (now - self._then) * self.rate)
        self._then = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True
