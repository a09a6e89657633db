"""What rate limits count a request under: descriptors made from it (envoy.config.route.v3.RateLimit)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from meshproxy.http.stream import Stream
from meshproxy.net.runtime import Fraction

Entry = tuple[str, str]
Descriptor = tuple[Entry, ...]
# What an action gives: an entry, SKIP for none, or None where the whole descriptor does not apply.
Action = Callable[[Stream], Entry | tuple[()] | None]
SKIP: Final[tuple[()]] = ()


class Allowance(NamedTuple):
    """What a rate limit service shall allow in place of its own limit (RateLimitDescriptor.RateLimitOverride).

    unit: of envoy.type.v3.RateLimitUnit.
    """

    requests: int
    unit: int
    multiplier: int | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One entry of `rate_limits`. hits: how many requests a request counts as; where it says None, the entry does not
    apply."""

    stage: int
    actions: tuple[Action, ...]
    hits: Callable[[Stream], int | None] | None = None
    # Those hits are given back.
    negative: bool = False
    # Whether it is in force now (ratelimit.<disable_key>.http_filter_enabled); None: always.
    disable: Fraction | None = None
    allowance: Callable[[Stream], Allowance | None] | None = None
    # It counts when the exchange is over, and refuses nothing.
    on_done: bool = False
    # Whether responses tell what is left; None: as the filter says.
    told: bool | None = None

    def entries(self, stream: Stream) -> Descriptor | None:
        """What its actions make of a stream, which may be nothing at all; None: it does not apply."""
        entries: list[Entry] = []
        for action in self.actions:
            entry = action(stream)
            if entry is None:
                return None
            if entry:
                entries.append(entry)
        return tuple(entries)


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """Those of a route; `with_host`: those of its virtual host count as well (include_vh_rate_limits)."""

    limits: tuple[RateLimit, ...]
    with_host: bool


class Charge(NamedTuple):
    """A descriptor of one request with what it counts."""

    entries: Descriptor
    limit: RateLimit
    # None: one.
    hits: int | None


class Counted(NamedTuple):
    """A descriptor of one request, as how many requests it counts, and whether the response tells what is left (None:
    as the filter says)."""

    descriptor: Descriptor
    hits: int
    told: bool | None


def descriptors(stream: Stream, limits: Iterable[RateLimit], stage: int) -> Iterator[Counted]:
    """The descriptors of a stream at one stage, for a filter that counts by itself: limits that the runtime may disable
    are not for it, and when they apply is nothing to it."""
    for limit in limits:
        if limit.stage == stage and limit.disable is None:
            descriptor = limit.entries(stream)
            if not descriptor:
                continue
            hits = 1 if limit.hits is None else limit.hits(stream)
            if hits is not None:
                yield Counted(descriptor, hits, limit.told)


def charges(
    stream: Stream, limits: Iterable[RateLimit], stage: int, on_done: bool, enabled: Callable[[Fraction], bool]
) -> Iterator[Charge]:
    """What limits charge a stream with at one stage, when it comes or when it is done. enabled: Runtime.enabled."""
    for limit in limits:
        if limit.stage != stage or limit.on_done is not on_done:
            continue
        if limit.disable is not None and not enabled(limit.disable):
            continue
        entries = limit.entries(stream)
        if entries is None:
            continue
        hits = None if limit.hits is None else limit.hits(stream)
        if hits is not None or limit.hits is None:
            yield Charge(entries, limit, hits)
