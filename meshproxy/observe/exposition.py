"""Stats as Envoy's lines of text, made from a snapshot a few at a time."""

import html
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from meshproxy.observe.quantiles import Counts, bin_width, cumulative, disjoint, quantiles
from meshproxy.observe.selection import Ordered

Buckets = Literal["", "none", "cumulative", "disjoint", "detailed", "summary", "prometheusnative"]
# (name, counts since the interval began, all counts)
HistogramRow = tuple[str, Counts, Counts]
# What is new in a histogram, by its name and all its counts.
Interval = Callable[[str, Counts], Counts]
# The bucket bounds of a histogram, by its name.
Bounds = Callable[[str], Sequence[float]]

QUANTILE_NAMES = ("0", "25", "50", "75", "90", "95", "99", "99.5", "99.9", "100")


def write_text(stats: Ordered, buckets: Buckets, bounds: Bounds, interval: Interval) -> Iterator[str]:
    """`name: value` lines: texts, numbers, histograms."""
    for texts in stats.texts():
        yield "".join([f'{name}: "{_escape(text)}"\n' for name, text in texts])
    for numbers in stats.numbers():
        yield "".join([f"{name}: {value:d}\n" for name, value in numbers])
    for rows in stats.histograms():
        yield "".join([_histogram_text((name, interval(name, all_), all_), buckets, bounds) for name, all_ in rows])


def _escape(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;")


def _histogram_text(row: HistogramRow, buckets: Buckets, bounds: Bounds) -> str:
    name, new, counts = row
    if buckets in ("", "none", "summary"):
        return f"{name}: {_summary(new, counts) if counts else 'No recorded values'}\n"
    if buckets == "detailed":
        summary = _summary(new, counts) if counts else "No recorded values"
        return f"{name}:\n  totals={_bins(counts)}\n  intervals={_bins(new)}\n  summary={summary}\n"
    if not counts:
        return f"{name}: No recorded values\n"
    of = cumulative if buckets == "cumulative" else disjoint
    limits = bounds(name)
    pairs = zip(limits, of(new, limits), of(counts, limits), strict=True)
    return f"{name}: {' '.join([f'B{limit:g}({recent},{all_})' for limit, recent, all_ in pairs])}\n"


def _summary(new: Counts, counts: Counts) -> str:
    pairs = zip(QUANTILE_NAMES, quantiles(new), quantiles(counts), strict=True)
    return " ".join([f"P{name}({number(recent)},{number(all_)})" for name, recent, all_ in pairs])


def _bins(counts: Counts) -> str:
    return ", ".join([f"{number(lower)},{number(bin_width(lower))}:{counts[lower]}" for lower in sorted(counts)])


def number(value: float) -> str:
    """The shortest text that gives the same double."""
    return str(int(value)) if float(value).is_integer() else repr(value)


class Intervals:
    """What is new in each histogram since an earlier look, which is at least `seconds` old where there is one.

    Envoy has a clock for this and merges on every flush; here nothing is kept unless somebody looks.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds
        self._before: dict[str, Counts] = {}
        self._current: dict[str, Counts] = {}
        self._taken = -math.inf

    def look(self, now: float) -> None:
        """Begins a new interval where the last one is old enough."""
        if now - self._taken >= self.seconds:
            self._before, self._current, self._taken = self._current, {}, now

    def new(self, name: str, counts: Counts) -> Counts:
        """Also remembers these counts, for the interval after this."""
        if counts:
            self._current.setdefault(name, counts)
        before = self._before.get(name)
        if not before:
            return counts
        return {value: count - before.get(value, 0) for value, count in counts.items() if count > before.get(value, 0)}
