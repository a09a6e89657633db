"""Counters, gauges and histograms as plain Python integers.

A group of stats is a slotted object whose attributes are its numbers: `stats.rq_total += 1` costs 0.06 µs, a counter
object of a metrics library 0.5-1.3 µs. Names, tags and text are worked out when somebody asks (see snapshot.py).

A number starts as False, which is 0 until something touches it: `usedonly` shows what is not False any more, so that
a gauge that was set to 0 is used and one that nobody ever set is not, at no cost.
"""

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

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


class SampledHistogram(Histogram):
    """One that also keeps the values themselves for a while: sinks of stats send each of them."""

    __slots__ = ("fresh",)

    def __init__(self) -> None:
        super().__init__()
        self.fresh: dict[int, int] = {}

    def record(self, value: int) -> None:
        super().record(value)
        self.fresh[value] = self.fresh.get(value, 0) + 1

    def merge(self, other: Histogram) -> None:
        super().merge(other)
        if isinstance(other, SampledHistogram):
            for value, count in other.fresh.items():
                self.fresh[value] = self.fresh.get(value, 0) + count


Value = int | str | Histogram
# A stat whose name is known only while running: kind, name behind the prefix, value.
Row = tuple[Kind, str, Value]


class StatGroup:
    """Base of every group: a subclass lists its names by kind; each becomes an attribute that starts at 0.

    A name may be a property, or with dots a path of attributes, for numbers that something else counts.
    SAME: names whose number is the same in every worker, so that they are not added up over workers.
    """

    __slots__ = ()

    COUNTERS: ClassVar[tuple[str, ...]] = ()
    GAUGES: ClassVar[tuple[str, ...]] = ()
    HISTOGRAMS: ClassVar[tuple[str, ...]] = ()
    SAME: ClassVar[frozenset[str]] = frozenset()

    # Made of these for each class: the names of counters and gauges in order, their kinds, the places of SAME among
    # them, those that are attributes of their own, and what reads all numbers at once.
    NUMBERS: ClassVar[tuple[str, ...]] = ()
    KINDS: ClassVar[tuple[Kind, ...]] = ()
    SAME_PLACES: ClassVar[tuple[int, ...]] = ()
    COUNTED: ClassVar[tuple[str, ...]] = ()
    read: ClassVar[Callable[[Any], tuple[int, ...]]]
    # Of what histograms are made: with sinks, of such as keep their values.
    HISTOGRAM: ClassVar[type[Histogram]] = Histogram

    if TYPE_CHECKING:
        # The attributes that the lists name.
        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __init_subclass__(cls) -> None:
        counters = frozenset(cls.COUNTERS)
        cls.NUMBERS = tuple(sorted((*cls.COUNTERS, *cls.GAUGES)))
        cls.HISTOGRAMS = tuple(sorted(cls.HISTOGRAMS))
        cls.KINDS = tuple(["counter" if name in counters else "gauge" for name in cls.NUMBERS])
        cls.SAME_PLACES = tuple([place for place, name in enumerate(cls.NUMBERS) if name in cls.SAME])
        cls.COUNTED = tuple([name for name in cls.NUMBERS if "." not in name and not _is_made(cls, name)])
        cls.read = staticmethod(_reader(cls.NUMBERS))

    def __init__(self) -> None:
        for name in self.COUNTED:
            setattr(self, name, False)
        for name in self.HISTOGRAMS:
            setattr(self, name, self.HISTOGRAM())

    def update(self) -> None:
        """Brings up to date what changes by itself, before somebody looks."""

    def touch(self, name: str) -> None:
        """A number that was looked after, but is still 0, is used."""
        if getattr(self, name) is False:
            setattr(self, name, 0)

    def more(self) -> Iterable[Row]:
        """Stats whose names are known only while running."""
        return ()

    def reset(self) -> None:
        """Counters that were counted go back to 0 and stay in use."""
        for name in self.COUNTED:
            if name in self.COUNTERS and getattr(self, name) is not False:
                setattr(self, name, 0)

    def rows(self) -> Iterator[Row]:
        """Everything in the group."""
        self.update()
        yield from zip(self.KINDS, self.NUMBERS, type(self).read(self), strict=True)
        for name in self.HISTOGRAMS:
            yield "histogram", name, getattr(self, name)
        yield from self.more()


def _is_made(cls: type, name: str) -> bool:
    """Whether this number is worked out of others when somebody looks."""
    return isinstance(getattr(cls, name, None), property)


def _reader(names: tuple[str, ...]) -> Callable[[Any], tuple[int, ...]]:
    """All the attributes as a tuple, in one call of C where there are several (3 µs for 130)."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda group: tuple([getattr(group, name) for name in names])


class Part(StatGroup):
    """Some of the numbers of another group, which counts them."""

    __slots__ = ("_source",)

    def __init__(self, source: StatGroup) -> None:
        self._source = source

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            return getattr(self._source, name)

    def update(self) -> None:
        self._source.update()

    def reset(self) -> None:
        self._source.reset()


def clean_prefix(prefix: str) -> str:
    """As Envoy has it in names: no colons, and no dot at either end (Stats::Utility::sanitizeStatsName)."""
    if ":" in prefix or "\0" in prefix:
        for taken in ("://", ":/", ":", "\0"):
            prefix = prefix.replace(taken, "_")
    return prefix.removesuffix(".").removeprefix(".")


class Entry(NamedTuple):
    """A group, and what it is called in snapshots: its prefix and its class."""

    key: tuple[str, type[StatGroup]]
    group: StatGroup


class Registry:
    """All groups of the process by prefix (`cluster.reviews`, `http.ingress`, `listener.0.0.0.0_80`)."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def add(self, prefix: str, group: StatGroup) -> None:
        """Several groups may share a prefix; equal names are summed on show."""
        self._entries.append(Entry((clean_prefix(prefix), type(group)), group))

    def remove(self, prefix: str, group: StatGroup) -> None:
        prefix = clean_prefix(prefix)
        self._entries = [each for each in self._entries if each.group is not group or each.key[0] != prefix]

    def entries(self) -> "list[Entry]":
        """What there is now: whoever goes through it slowly need not mind what is added meanwhile."""
        return self._entries.copy()

    def groups(self) -> list[tuple[str, StatGroup]]:
        """Prefixes and groups."""
        return [(each.key[0], each.group) for each in self._entries]

    def reset(self) -> None:
        """/reset_counters."""
        for _, group in self._entries:
            group.reset()
