"""All stats at one moment: what workers send to main, and what every page of stats is made from.

A group is kept as one tuple of numbers in the order of its class's NUMBERS, without names: that is small to send, and
cheap to take, to add up and to show one column at a time.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from meshproxy.observe.stats import Entry, Histogram, Kind, Registry, StatGroup

Counts = dict[int, int]
# What one group is called: its prefix, and the class that knows its names.
Key = tuple[str, type[StatGroup]]
# Stats whose names are known only while running, by kind and name behind the prefix.
More = dict[tuple[Kind, str], int | str | Counts]

# Most histograms are empty, and most groups have nothing more; nobody may write into these.
_EMPTY: Counts = {}
_NOTHING: More = {}


class Taken(NamedTuple):
    """One group: its `NUMBERS`, its `HISTOGRAMS`, and what else it has. A number that is False was never touched."""

    numbers: tuple[int, ...]
    histograms: tuple[Counts, ...]
    more: More


Part = tuple[Key, Taken]


class Snapshot:
    """Groups by their key."""

    __slots__ = ("groups",)

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self.groups: dict[Key, Taken] = {}
        for part in parts:
            self.add(*part)

    def add(self, key: Key, taken: Taken) -> None:
        """Adds up where there is a group of that key already."""
        known = self.groups.get(key)
        self.groups[key] = taken if known is None else _sum(key[1], known, taken)

    def parts(self) -> Iterable[Part]:
        return self.groups.items()

    def sorted(self) -> list[Part]:
        """The groups in the order of their prefixes; those without one stand where their first name would."""
        return sorted(self.groups.items(), key=_first)

    def without_gauges(self) -> Iterator[Part]:
        """What stays of a process that is gone: its counters and histograms."""
        for key, taken in self.groups.items():
            kinds = key[1].KINDS
            numbers = [kind == "counter" and value for kind, value in zip(kinds, taken.numbers, strict=True)]
            more = {named: value for named, value in taken.more.items() if named[0] in ("counter", "histogram")}
            yield key, Taken(tuple(numbers), taken.histograms, more)


def _first(part: Part) -> str:
    (prefix, cls), _ = part
    return f"{prefix}." if prefix else min([*cls.NUMBERS, *cls.HISTOGRAMS], default="")


def take(registry: Registry) -> Iterator[Part]:
    """The stats of this process, group by group, as each is when its turn comes."""
    return map(take_group, registry.entries())


def take_group(entry: Entry) -> Part:
    """Makes few objects, because there may be ten thousand groups and the garbage collector looks at each."""
    group = entry.group
    group.update()
    cls = entry.key[1]
    names = cls.HISTOGRAMS
    counts = tuple([_copy(getattr(group, name)) for name in names])
    more: More = {}
    for kind, name, value in group.more():
        more[kind, name] = _copy(value) if isinstance(value, Histogram) else value
    return entry.key, Taken(cls.read(group), counts if any(counts) else (_EMPTY,) * len(names), more or _NOTHING)


def _copy(histogram: Histogram) -> Counts:
    return dict(histogram.counts) if histogram.counts else _EMPTY


def add_numbers(known: int, value: int) -> int:
    """False + False would be a 0 that looks used."""
    return value if known is False else known if value is False else known + value


def add_counts(known: Counts, counts: Counts) -> Counts:
    if not known or not counts:
        return known or counts
    added = dict(known)
    for value, count in counts.items():
        added[value] = added.get(value, 0) + count
    return added


def _sum(cls: type[StatGroup], known: Taken, taken: Taken) -> Taken:
    numbers = list(map(add_numbers, known.numbers, taken.numbers))
    for place in cls.SAME_PLACES:
        one, other = known.numbers[place], taken.numbers[place]
        numbers[place] = other if one is False or other > one else one
    histograms = tuple(map(add_counts, known.histograms, taken.histograms))
    return Taken(tuple(numbers), histograms, _sum_more(known.more, taken.more))


def _sum_more(known: More, more: More) -> More:
    if not known or not more:
        return known or more
    added = dict(known)
    for named, value in more.items():
        there = added.get(named)
        if isinstance(value, dict) and isinstance(there, dict):
            value = add_counts(there, value)
        elif isinstance(value, int) and isinstance(there, int):
            value = add_numbers(there, value)
        added[named] = value
    return added
