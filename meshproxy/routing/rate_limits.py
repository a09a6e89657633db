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
    """One entry of `rate_limits`."""

    stage: int
    actions: tuple[Action, ...]

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


def descriptors(stream: Stream, limits: Iterable[RateLimit], stage: int) -> Iterator[Descriptor]:
    """The descriptors of a stream at one stage."""
    for limit in limits:
        if limit.stage == stage:
            descriptor = limit.descriptor(stream)
            if descriptor is not None:
                yield descriptor
