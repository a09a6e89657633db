"""Stats as Envoy's JSON, made from a snapshot a few at a time."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from meshproxy.observe.exposition import QUANTILE_NAMES, Bounds, Buckets, HistogramRow, Interval, number
from meshproxy.observe.json_text import quote
from meshproxy.observe.quantiles import Counts, bin_width, cumulative, disjoint, quantiles
from meshproxy.observe.selection import Ordered

_PERCENTS = ",".join(QUANTILE_NAMES)
# What stands before the histograms and behind them.
_AROUND: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("", "none", "summary"), (f'{{"supported_quantiles":[{_PERCENTS}],"computed_quantiles":[', "]}")),
    "detailed": (f'{{"supported_percentiles":[{_PERCENTS}],"details":[', "]}"),
    "cumulative": ("[", "]"),
    "disjoint": ("[", "]"),
}


def write_json(stats: Ordered, buckets: Buckets, bounds: Bounds, interval: Interval) -> Iterator[str]:
    """`{"stats":[...]}`; the histograms are one object at its end."""
    yield '{"stats":['
    comma = ""
    for text in _listed(_numbers(stats)):
        yield text
        comma = comma or (text and ",")
    before, behind = _AROUND[buckets]
    some = False
    for text in _listed(_histograms(stats, _writer(buckets, bounds), interval)):
        if text and not some:
            yield f'{comma}{{"histograms":{before}'
            some = True
        yield text
    yield f"{behind}}}]}}" if some else "]}"


def _listed(pieces: Iterator[list[str]]) -> Iterator[str]:
    """The items of all pieces with commas between them; "" for a piece that is empty."""
    comma = ""
    for items in pieces:
        yield comma + ",".join(items) if items else ""
        if items:
            comma = ","


def _numbers(stats: Ordered) -> Iterator[list[str]]:
    for texts in stats.texts():
        yield [f'{{"name":{quote(name)},"value":{quote(text)}}}' for name, text in texts]
    for rows in stats.numbers():
        yield [f'{{"name":{quote(name)},"value":{value:d}}}' for name, value in rows]


def _histograms(stats: Ordered, write: Callable[[HistogramRow], str], interval: Interval) -> Iterator[list[str]]:
    for rows in stats.histograms():
        yield [write((name, interval(name, counts), counts)) for name, counts in rows]


def _writer(buckets: Buckets, bounds: Bounds) -> Callable[[HistogramRow], str]:
    if buckets in ("", "none", "summary"):
        return _summary
    if buckets == "detailed":
        return _detailed
    return partial(_bucketed, of=cumulative if buckets == "cumulative" else disjoint, bounds=bounds)


def _summary(row: HistogramRow) -> str:
    name, new, counts = row
    return f'{{"name":{quote(name)},"values":{_quantiles_json(new, counts)}}}'


def _detailed(row: HistogramRow) -> str:
    name, new, counts = row
    return (
        f'{{"name":{quote(name)},"totals":{_bins_json(counts)},"intervals":{_bins_json(new)},'
        f'"percentiles":{_quantiles_json(new, counts)}}}'
    )


def _json_number(value: float) -> str:
    return "null" if math.isnan(value) else number(value)


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


def _bucketed(row: HistogramRow, of: Callable[[Counts, Sequence[float]], list[int]], bounds: Bounds) -> str:
    name, new, counts = row
    limits = bounds(name)
    buckets = [
        f'{{"upper_bound":{number(limit)},"interval":{recent},"cumulative":{all_}}}'
        for limit, recent, all_ in zip(limits, of(new, limits), of(counts, limits), strict=True)
    ]
    return f'{{"name":{quote(name)},"buckets":[{",".join(buckets)}]}}'
