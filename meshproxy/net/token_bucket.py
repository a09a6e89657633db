"""A rate limit: tokens that come back steadily, up to a maximum; with workers, one bucket for all of them."""

from collections.abc import Callable, Hashable
from math import ceil

from meshproxy.net.shared_numbers import SharedNumbers


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
        """A full one with the same rate, of this process alone."""
        bucket = TokenBucket(self.maximum, 0, 1, self._clock)
        bucket.rate = self.rate
        return bucket

    def family(self, most: int) -> "Buckets":
        """Buckets like this one by key, `most` at a time: then the one that was not used for longest goes."""
        return Buckets(self, most)

    def seconds_to_next(self) -> int:
        """Whole seconds until there is a token; 0 where there is one."""
        return 0 if self.tokens >= 1 else ceil((1 - self.tokens) / self.rate)

    def take(self, tokens: int = 1) -> bool:
        """Whether there were so many tokens; they are gone now."""
        now = self._clock()
        self.tokens = min(self.maximum, self.tokens + (now - self._then) * self.rate)
        self._then = now
        if self.tokens < tokens:
            return False
        self.tokens -= tokens
        return True


class Buckets:
    """Buckets by key."""

    __slots__ = ("_made", "_most", "_template")

    def __init__(self, template: TokenBucket, most: int) -> None:
        self._template = template
        self._most = most
        self._made: dict[Hashable, TokenBucket] = {}

    def find(self, key: Hashable) -> TokenBucket:
        """The bucket of the key, which is full where the key is new."""
        made = self._made
        bucket = made.pop(key, None) or self._template.fresh()
        # The last one used stands last.
        made[key] = bucket
        if len(made) > self._most:
            del made[next(iter(made))]
        return bucket


class SharedTokenBucket(TokenBucket):
    """One bucket for all workers: one of them at a time brings it up to date. Clocks of processes are one clock."""

    __slots__ = ("_numbers", "_place")

    def __init__(
        self, maximum: int, per_fill: int, interval: float, clock: Callable[[], float], numbers: SharedNumbers
    ) -> None:
        super().__init__(maximum, per_fill, interval, clock)
        self._numbers = numbers
        self._place = numbers.place_values(self._then, self.tokens)

    def family(self, most: int) -> "SharedBuckets":
        return SharedBuckets(self, most, self._numbers)

    def take(self, tokens: int = 1) -> bool:
        with self._numbers.alone():
            return self._take_at(self._place, tokens)

    def _take_at(self, place: int, tokens: int) -> bool:
        values = self._numbers.values
        now = self._clock()
        left = values[place + 1] + (now - values[place]) * self.rate
        if left > self.maximum:
            left = float(self.maximum)
        taken = left >= tokens
        if taken:
            left -= tokens
        # In this order: who dies in between leaves too few tokens rather than too many.
        values[place] = now
        values[place + 1] = self.tokens = left
        return taken


# Places of one bucket in a family: its key, when it was last used, its time, its tokens.
_WIDTH = 4


class SharedBuckets(Buckets):
    """Places for `most` buckets, each with the hash of its key: processes that are forks of one agree on hashes."""

    __slots__ = ("_numbers", "_place")

    def __init__(self, template: TokenBucket, most: int, numbers: SharedNumbers) -> None:
        super().__init__(template, most)
        self._numbers = numbers
        self._place = numbers.place_values(*[0.0] * (_WIDTH * most))

    def find(self, key: Hashable) -> TokenBucket:
        return BucketOfKey(self._template, self, float(hash(key) or 1))

    def locate(self, key: float, now: float, tokens: float) -> int:
        """Where the bucket's values are; whoever asks has the lock."""
        values = self._numbers.values[self._place : self._place + _WIDTH * self._most]
        keys = [*values[::_WIDTH]]
        if key in keys:
            at = _WIDTH * keys.index(key)
        else:
            used = [*values[1::_WIDTH]]
            at = _WIDTH * used.index(min(used))
            values[at], values[at + 2], values[at + 3] = key, now, tokens
        values[at + 1] = now
        return self._place + at + 2


class BucketOfKey(SharedTokenBucket):
    """One bucket of a family, as one taker sees it."""

    __slots__ = ("_family", "_key")

    def __init__(self, template: TokenBucket, family: SharedBuckets, key: float) -> None:
        self.maximum = template.maximum
        self.rate = template.rate
        self._clock = template._clock
        self._numbers = family._numbers
        self._family = family
        self._key = key

    def take(self, tokens: int = 1) -> bool:
        with self._numbers.alone():
            return self._take_at(self._family.locate(self._key, self._clock(), float(self.maximum)), tokens)
