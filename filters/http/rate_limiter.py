"""The buckets of local_ratelimit: one for all requests, and those of descriptors (LocalRateLimitDescriptor)."""

from collections.abc import Iterable
from typing import Any

from meshproxy.api import Buckets, ConfigError, Counted, Descriptor, TokenBucket, build_token_bucket, wire_text

_MAX_DYNAMIC = 20
# What comes of asking a limiter.
OK, OVER, SHADOW = "ok", "over", "shadow"


class DescriptorBuckets:
    """Buckets by descriptor. An entry without a value stands for any value, each of which has a bucket of its own:
    `most` at a time, and then the one that was not used for longest goes."""

    __slots__ = ("_any", "_exact", "_most")

    def __init__(self, most: int = _MAX_DYNAMIC) -> None:
        # Each bucket with whether it is in shadow mode: then it refuses nothing.
        self._exact: dict[Descriptor, tuple[TokenBucket, bool]] = {}
        self._any: list[tuple[Descriptor, TokenBucket, Buckets, bool]] = []
        self._most = most

    def __bool__(self) -> bool:
        return bool(self._exact or self._any)

    def add(self, pattern: Descriptor, bucket: TokenBucket, shadow: bool) -> None:
        if all(value for _, value in pattern):
            if pattern in self._exact:
                words = ", ".join(f"{key}={value}" for key, value in pattern)
                raise ConfigError(f"duplicate descriptor in the local rate descriptor: {words}")
            self._exact[pattern] = bucket, shadow
        else:
            self._any.append((pattern, bucket, bucket.family(self._most), shadow))

    def matching(self, counted: Iterable[Counted]) -> list[tuple[TokenBucket, bool, Counted]]:
        """The buckets of these descriptors, the strictest first, and whether they are in shadow mode."""
        found = [(*one, each) for each in counted if (one := self._find(each.descriptor)) is not None]
        found.sort(key=lambda one: one[0].rate)
        return found

    def _find(self, descriptor: Descriptor) -> tuple[TokenBucket, bool] | None:
        found = self._exact.get(descriptor)
        if found is not None:
            return found
        for pattern, _, buckets, shadow in self._any:
            if _fits(pattern, descriptor):
                return buckets.find(descriptor), shadow
        return None

    def fresh(self) -> "DescriptorBuckets":
        """The same with full buckets."""
        copy = DescriptorBuckets(self._most)
        copy._exact = {descriptor: (bucket.fresh(), shadow) for descriptor, (bucket, shadow) in self._exact.items()}
        copy._any = [(which, one, one.fresh().family(self._most), shadow) for which, one, _, shadow in self._any]
        return copy


class Alone:
    """The limits are this proxy's own."""

    members = 1


class Limiter:
    """`always_default`: requests that have a bucket by descriptor take from the one for all as well.
    `sharers`: those whose buckets are one together. A request costs a token for each of its `members`."""

    __slots__ = ("_always_default", "_buckets", "_default", "_sharers")

    def __init__(
        self, default: TokenBucket | None, buckets: DescriptorBuckets, always_default: bool, sharers: Any = Alone
    ) -> None:
        self._default = default
        self._buckets = buckets
        self._always_default = always_default
        self._sharers = sharers

    def take(self, counted: Iterable[Counted]) -> tuple[str, TokenBucket | None, bool | None]:
        """OK, OVER, or SHADOW where the request is over a limit that is only tried out; the bucket that decided (None:
        there is no limit); and whether it is told (None: as the filter says)."""
        cost = self._sharers.members
        matching = self._buckets.matching(counted) if self._buckets else []
        shadowed = None
        for bucket, shadow, (_, hits, told) in matching:
            # As in Envoy: who takes nothing gets nothing.
            if not hits or not bucket.take(cost * hits):
                if not shadow:
                    return OVER, bucket, told
                shadowed = shadowed or (SHADOW, bucket, told)
        default = self._default
        if default is not None and (self._always_default or not matching) and not default.take(cost):
            return OVER, default, None
        if shadowed is not None:
            return shadowed
        return (OK, matching[0][0], matching[0][2].told) if matching else (OK, default, None)

    def fresh(self) -> "Limiter":
        """The same with full buckets."""
        default = None if self._default is None else self._default.fresh()
        return Limiter(default, self._buckets.fresh(), self._always_default, self._sharers)


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
            pattern = tuple((wire_text(entry.key), wire_text(entry.value)) for entry in view.entries)
            buckets.add(pattern, build_token_bucket(view.token_bucket, ctx), view.shadow_mode)
    always_default = config.get("always_consume_default_token_bucket", True)
    return Limiter(default, buckets, always_default, _sharers(config, ctx))


def _sharers(config: Any, ctx: Any) -> Any:
    if not config.local_cluster_rate_limit:
        return Alone
    if config.local_rate_limit_per_downstream_connection:
        raise ConfigError(
            "local_cluster_rate_limit is set and local_rate_limit_per_downstream_connection is set to true"
        )
    if ctx.local_cluster is None:
        raise ConfigError("local_cluster_rate_limit is set but no local cluster name is present")
    return ctx.local_cluster
