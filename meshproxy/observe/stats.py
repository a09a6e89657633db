"""Counters, gauges and histograms as plain Python integers.

A group of stats is a slotted object whose attributes are its numbers: `stats.rq_total += 1` costs 0.06 µs, a counter
object of a metrics library 0.5-1.3 µs. Names, tags and types are worked out when somebody asks (see exposition.py).
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

Kind = Literal["counter", "gauge", "histogram"]


class Histogram:
    """Counts of values, to two significant digits (as the log-linear histograms that Envoy uses)."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts: dict[float, int] = {}
        self.total = 0.0

    def record(self, value: float) -> None:
        self.total += value
        if value >= 100:
            digits = len(str(int(value))) - 2
            value = int(value) // 10**digits * 10**digits
        counts = self.counts
        counts[value] = counts.get(value, 0) + 1

    def merge(self, other: "Histogram") -> None:
        self.total += other.total
        for value, count in other.counts.items():
            self.counts[value] = self.counts.get(value, 0) + count


class StatGroup:
    """Base of every group: a subclass lists its names by kind; each becomes an attribute that starts at 0.

    OPTIONAL names are shown only once they were counted (Envoy creates them on first use).
    """

    __slots__ = ("codes",)

    COUNTERS: ClassVar[tuple[str, ...]] = ()
    GAUGES: ClassVar[tuple[str, ...]] = ()
    HISTOGRAMS: ClassVar[tuple[str, ...]] = ()
    OPTIONAL: ClassVar[frozenset[str]] = frozenset()

    if TYPE_CHECKING:
        # The names of a subclass: int for counters and gauges, Histogram for histograms.
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self) -> None:
        for name in self.COUNTERS:
            setattr(self, name, 0)
        for name in self.GAUGES:
            setattr(self, name, 0)
        for name in self.HISTOGRAMS:
            setattr(self, name, Histogram())

    def more(self) -> "Iterator[tuple[Kind, str, int | Histogram]]":
        """Stats whose names come up while running (`upstream_rq_503`), worked out when somebody asks."""
        return iter(())


class Registry:
    """All groups of the process by prefix (`cluster.reviews`, `http.ingress`, `listener.0.0.0.0_80`)."""

    def __init__(self) -> None:
        self._groups: dict[str, list[StatGroup]] = {}
        self._counters: dict[str, int] = {}

    def add(self, prefix: str, group: StatGroup) -> None:
        """Several groups may share a prefix; equal names are summed on show."""
        self._groups.setdefault(prefix, []).append(group)

    def remove(self, prefix: str, group: StatGroup) -> None:
        groups = self._groups.get(prefix, [])
        if group in groups:
            groups.remove(group)
            if not groups:
                del self._groups[prefix]

    def groups(self) -> Iterator[tuple[str, StatGroup]]:
        for prefix, groups in self._groups.items():
            for group in groups:
                yield prefix, group
