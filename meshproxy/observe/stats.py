"""Counters, gauges and histograms as plain Python integers.

A group of stats is a slotted object whose attributes are its numbers: `stats.rq_total += 1` costs 0.06 µs, a counter
object of a metrics library 0.5-1.3 µs. Names, tags and text are worked out when somebody asks (see snapshot.py).

A number starts as False, which is 0 until something touches it: `usedonly` shows what is not False any more, so that
a gauge that was set to 0 is used and one that nobody ever set is not, at no cost.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

Kind = Literal["counter", "gauge", "text", "histogram"]


class Histogram:
    """Counts of whole values, to two significant digits (as the log-linear histograms that Envoy uses).

    A key of `counts` is the lower end of its bin: 0, 1-9, 10-99, then 100, 110, ... 990, 1000, 1100, ...
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def record(self, value: int) -> None:
        if value >= 100:
            scale = 10 ** (len(str(value)) - 2)
            value = value // scale * scale
        counts = self.counts
        counts[value] = counts.get(value, 0) + 1

    def merge(self, other: "Histogram") -> None:
        for value, count in other.counts.items():
            self.counts[value] = self.counts.get(value, 0) + count


Value = int | str | Histogram


class StatGroup:
    """Base of every group: a subclass lists its names by kind; each becomes an attribute that starts at 0.

    SAME: names whose number is the same in every worker, so that they are not added up over workers.
    """

    __slots__ = ()

    COUNTERS: ClassVar[tuple[str, ...]] = ()
    GAUGES: ClassVar[tuple[str, ...]] = ()
    HISTOGRAMS: ClassVar[tuple[str, ...]] = ()
    SAME: ClassVar[frozenset[str]] = frozenset()

    if TYPE_CHECKING:
        # The attributes that the lists name.
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init__(self) -> None:
        for name in self.COUNTERS:
            setattr(self, name, False)
        for name in self.GAUGES:
            setattr(self, name, False)
        for name in self.HISTOGRAMS:
            setattr(self, name, Histogram())

    def more(self) -> Iterator[tuple[Kind, str, Value]]:
        """Stats whose names are known only while running: (kind, name behind the prefix, value)."""
        return iter(())

    def reset(self) -> None:
        """Counters that were counted go back to 0 and stay in use."""
        for name in self.COUNTERS:
            if getattr(self, name) is not False:
                setattr(self, name, 0)

    def rows(self) -> Iterator[tuple[Kind, str, Value]]:
        """Everything in the group: (kind, name behind the prefix, value)."""
        for name in self.COUNTERS:
            yield "counter", name, getattr(self, name)
        for name in self.GAUGES:
            yield "gauge", name, getattr(self, name)
        for name in self.HISTOGRAMS:
            yield "histogram", name, getattr(self, name)
        yield from self.more()


class Registry:
    """All groups of the process by prefix (`cluster.reviews`, `http.ingress`, `listener.0.0.0.0_80`)."""

    def __init__(self) -> None:
        self._groups: dict[str, list[StatGroup]] = {}

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

    def reset(self) -> None:
        """/reset_counters."""
        for _, group in self.groups():
            group.reset()
