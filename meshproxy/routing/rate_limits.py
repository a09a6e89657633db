"""What rate limits count a request under: descriptors made from it (envoy.config.route.v3.RateLimit)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from meshproxy.http.stream import Stream

Entry = tuple[str, str]
Descriptor = tuple[Entry, ...]
# What an action gives: an entry, SKIP for none, or None where the whole descriptor does not apply.
Action = Callable[[Stream], Entry | tuple[()] | None]
SKIP: Final[tuple[()]] = ()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One entry of `rate_limits`. hits: how many requests a request counts as; where it says None, the entry does not
    apply."""

    stage: int
    actions: tuple[Action, ...]
    hits: Callable[[Stream], int | None] | None = None

    def descriptor(self, stream: Stream) -> Descriptor | None:
        entries: list[Entry] = []
        for action in self.actions:
            entry = action(stream)
            if entry is None:
                return None
            if entry:
                entries.append(entry)
        return tuple(entries) or None


@dataclass(frozen=True, slots=True)
class RouteLimits:
    """Those of a route; `with_host`: those of its virtual host count as well (include_vh_rate_limits)."""

    limits: tuple[RateLimit, ...]
    with_host: bool


def descriptors(stream: Stream, limits: Iterable[RateLimit], stage: int) -> Iterator[tuple[Descriptor, int]]:
    """The descriptors of a stream at one stage, and as how many requests it counts under each."""
    for limit in limits:
        if limit.stage == stage:
            descriptor = limit.descriptor(stream)
            if descriptor is None:
                continue
            hits = 1 if limit.hits is None else limit.hits(stream)
            if hits is not None:
                yield descriptor, hits
