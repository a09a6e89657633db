"""Stats as the admin pages show them: Envoy's text and JSON, made from a snapshot.

`select` decides what is shown; the writers give the page piece by piece, so that a page of a hundred thousand lines
can be sent without keeping everyone else waiting.
"""

import html
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from meshproxy.observe.json_text import quote
from meshproxy.observe.quantiles import Counts, bin_width, cumulative, disjoint, quantiles
from meshproxy.observe.snapshot import Snapshot

Buckets = Literal["", "cumulative", "disjoint", "detailed", "summary"]
# (name, counts since the interval began, all counts)
HistogramRow = tuple[str, Counts, Counts]

_NAMES = ("0", "25", "50", "75", "90", "95", "99", "99.5", "99.9", "100")


@dataclass
class Selection:
    """What of a snapshot is shown, sorted by name."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    counters: list[tuple[str, int]] = field(default_factory=list)
    gauges: list[tuple[str, int]] = field(default_factory=list)
    histograms: list[HistogramRow] = field(default_factory=list)

    def numbers(self) -> list[tuple[str, int]]:
        """Counters and gauges together."""
        return sorted(self.counters + self.gauges)


def select(
    snapshot: Snapshot,
    shown: Callable[[str], bool],
    used_only: bool = False,
    kind: str = "",
    interval: Callable[[str, Counts], Counts] = lambda _name, counts: counts,
) -> Selection:
    """`kind`: Counters, Gauges, Histograms, TextReadouts, or "" for all. `interval`: the counts that are new."""
    found = Selection()
    if kind in ("", "TextReadouts"):
        found.texts = sorted([row for row in snapshot.texts.items() if shown(row[0]) and (row[1] or not used_only)])
    if kind in ("", "Counters"):
        found.counters = _numbers(snapshot.counters, shown, used_only)
    if kind in ("", "Gauges"):
        found.gauges = _numbers(snapshot.gauges, shown, used_only)
    if kind in ("", "Histograms"):
        rows = [row for row in snapshot.histograms.items() if shown(row[0]) and (row[1] or not used_only)]
        found.histograms = [(name, interval(name, counts), counts) for name, counts in sorted(rows)]
    return found


def _numbers(values: dict[str, int], shown: Callable[[str], bool], used_only: bool) -> list[tuple[str, int]]:
    return sorted([row for row in values.items() if (row[1] is not False or not used_only) and shown(row[0])])


def write_text(selection: Selection, buckets: Buckets, bounds: Callable[[str], Sequence[float]]) -> Iterator[str]:
    """`name: value` lines. `bounds`: the bucket bounds of a histogram, by its name."""
    for name, text in selection.texts:
        yield f'{name}: "{_escape(text)}"\n'
    for name, value in selection.numbers():
        yield f"{name}: {int(value)}\n"
    for row in selection.histograms:
        yield _histogram_text(row, buckets, bounds)


def _escape(text: str) -> str:
    return html.escape(text).replace("&#x27;", "&#39;")


def _histogram_text(row: HistogramRow, buckets: Buckets, bounds: Callable[[str], Sequence[float]]) -> str:
    name, new, counts = row
    if buckets in ("", "summary"):
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
    pairs = zip(_NAMES, quantiles(new), quantiles(counts), strict=True)
    return " ".join([f"P{name}({number(recent)},{number(all_)})" for name, recent, all_ in pairs])


def _bins(counts: Counts) -> str:
    return ", ".join([f"{number(lower)},{number(bin_width(lower))}:{counts[lower]}" for lower in sorted(counts)])


def number(value: float) -> str:
    """The shortest text that gives the same double."""
    return str(int(value)) if float(value).is_integer() else repr(value)


def _json_number(value: float) -> str:
    return "null" if math.isnan(value) else number(value)


def write_json(selection: Selection, buckets: Buckets, bounds: Callable[[str], Sequence[float]]) -> Iterator[str]:
    """`{"stats":[...]}`; the histograms are one object at its end."""
    yield '{"stats":['
    comma = ""
    for name, text in selection.texts:
        yield f'{comma}{{"name":{quote(name)},"value":{quote(text)}}}'
        comma = ","
    for name, value in selection.numbers():
        yield f'{comma}{{"name":{quote(name)},"value":{int(value)}}}'
        comma = ","
    if selection.histograms:
        yield f'{comma}{{"histograms":{_histograms_json(selection.histograms, buckets, bounds)}}}'
    yield "]}"


def _histograms_json(
    rows: list[HistogramRow], buckets: Buckets, bounds: Callable[[str], Sequence[float]]
) -> str:
    percents = ",".join(_NAMES)
    if buckets in ("", "summary"):
        values = [f'{{"name":{quote(name)},"values":{_quantiles_json(new, counts)}}}' for name, new, counts in rows]
        return f'{{"supported_quantiles":[{percents}],"computed_quantiles":[{",".join(values)}]}}'
    if buckets == "detailed":
        values = [
            f'{{"name":{quote(name)},"totals":{_bins_json(counts)},"intervals":{_bins_json(new)},'
            f'"percentiles":{_quantiles_json(new, counts)}}}'
            for name, new, counts in rows
        ]
        return f'{{"supported_percentiles":[{percents}],"details":[{",".join(values)}]}}'
    of = cumulative if buckets == "cumulative" else disjoint
    return f"[{','.join([_buckets_json(row, of, bounds(row[0])) for row in rows])}]"


def _quantiles_json(new: Counts, counts: Counts) -> str:
    pairs = zip(quantiles(counts), quantiles(new), strict=True)
    values = [f'{{"cumulative":{_json_number(all_)},"interval":{_json_number(recent)}}}' for all_, recent in pairs]
    return f"[{','.join(values)}]"


def _bins_json(counts: Counts) -> str:
    bins = [
        f'{{"lower_bound":{number(lower)},"width":{number(bin_width(lower))},"count":{counts[lower]}}}'
        for lower in sorted(counts)
    ]
    return f"[{','.join(bins)}]"


def _buckets_json(
    row: HistogramRow, of: Callable[[Counts, Sequence[float]], list[int]], limits: Sequence[float]
) -> str:
    name, new, counts = row
    buckets = [
        f'{{"upper_bound":{number(limit)},"interval":{recent},"cumulative":{all_}}}'
        for limit, recent, all_ in zip(limits, of(new, limits), of(counts, limits), strict=True)
    ]
    return f'{{"name":{quote(name)},"buckets":[{",".join(buckets)}]}}'


class Intervals:
    """What is new in each histogram since an earlier look, which is at least `seconds` old where there is one.

    Envoy has a clock for this and merges on every flush; here nothing is copied unless somebody looks.
    """

    def __init__(self, seconds: float = 5.0) -> None:
        self.seconds = seconds
        self._before: dict[str, Counts] = {}
        self._current: dict[str, Counts] = {}
        self._taken = -math.inf

    def look(self, histograms: dict[str, Counts], now: float) -> None:
        if now - self._taken >= self.seconds:
            self._before, self._current, self._taken = self._current, histograms, now

    def new(self, name: str, counts: Counts) -> Counts:
        before = self._before.get(name)
        if not before:
            return counts
        return {value: count - before.get(value, 0) for value, count in counts.items() if count > before.get(value, 0)}

