"""The buckets of local_ratelimit: one for all requests, and those of descriptors (LocalRateLimitDescriptor)."""

from collections.abc import Iterable
from typing import Any

from meshproxy.api import Buckets, ConfigError, Descriptor, TokenBucket, build_token_bucket, wire_text

_MAX_DYNAMIC = 20


class DescriptorBuckets:
    """Buckets by descriptor. An entry without a value stands for any value, each of which has a bucket of its own:
    `most` at a time, and then the one that was not used for longest goes."""

    __slots__ = ("_any", "_exact", "_most")

    def __init__(self, most: int = _MAX_DYNAMIC) -> None:
        self._exact: dict[Descriptor, TokenBucket] = {}
        self._any: list[tuple[Descriptor, TokenBucket, Buckets]] = []
        self._most = most

    def __bool__(self) -> bool:
        return bool(self._exact or self._any)

    def add(self, pattern: Descriptor, bucket: TokenBucket) -> None:
        if all(value for _, value in pattern):
            if pattern in self._exact:
                words = ", ".join(f"{key}={value}" for key, value in pattern)
                raise ConfigError(f"duplicate descriptor in the local rate descriptor: {words}")
            self._exact[pattern] = bucket
        else:
            self._any.append((pattern, bucket, bucket.family(self._most)))

    def matching(self, descriptors: Iterable[Descriptor]) -> list[TokenBucket]:
        """The buckets of these descriptors, the strictest first."""
        found = [bucket for each in descriptors if (bucket := self._find(each)) is not None]
        found.sort(key=lambda bucket: bucket.rate)
        return found

    def _find(self, descriptor: Descriptor) -> TokenBucket | None:
        bucket = self._exact.get(descriptor)
        if bucket is not None:
            return bucket
        for pattern, _, buckets in self._any:
            if _fits(pattern, descriptor):
                return buckets.find(descriptor)
        return None

    def fresh(self) -> "DescriptorBuckets":
        """The same with full buckets."""
        copy = DescriptorBuckets(self._most)
        copy._exact = {descriptor: bucket.fresh() for descriptor, bucket in self._exact.items()}
        copy._any = [(pattern, bucket, bucket.fresh().family(self._most)) for pattern, bucket, _ in self._any]
        return copy


class Limiter:
    """`always_default`: requests that have a bucket by descriptor take from the one for all as well."""

    __slots__ = ("_always_default", "_buckets", "_default")

    def __init__(self, default: TokenBucket | None, buckets: DescriptorBuckets, always_default: bool) -> None:
        self._default = default
        self._buckets = buckets
        self._always_default = always_default

    def take(self, descriptors: Iterable[Descriptor]) -> tuple[bool, TokenBucket | None]:
        """Whether the request may go on, and the bucket that decided (None: there is no limit)."""
        matching = self._buckets.matching(descriptors) if self._buckets else []
        for bucket in matching:
            if not bucket.take():
                return False, bucket
        default = self._default
        if default is not None and (self._always_default or not matching) and not default.take():
            return False, default
        return True, matching[0] if matching else default

    def fresh(self) -> "Limiter":
        """The same with full buckets."""
        default = None if self._default is None else self._default.fresh()
        return Limiter(default, self._buckets.fresh(), self._always_default)


def _fits(pattern: Descriptor, descriptor: Descriptor) -> bool:
    if len(pattern) != len(descriptor):
        return False
    return all(
        key == wanted and (not value or value == given)
        for (wanted, value), (key, given) in zip(pattern, descriptor, strict=True)
    )


def build_limiter(config: Any, ctx: Any) -> Limiter:
    """The buckets of a LocalRateLimit."""
    default = build_token_bucket(config.token_bucket, ctx) if config.token_bucket else None
    buckets = DescriptorBuckets(config.get("max_dynamic_descriptors", _MAX_DYNAMIC))
    for i, view in enumerate(config.descriptors):
        with config.at("descriptors", i):
            view.ignore("shadow_mode", why="a descriptor that is over its limit counts")
            pattern = tuple((wire_text(entry.key), wire_text(entry.value)) for entry in view.entries)
            buckets.add(pattern, build_token_bucket(view.token_bucket, ctx))
    return Limiter(default, buckets, config.get("always_consume_default_token_bucket", True))
