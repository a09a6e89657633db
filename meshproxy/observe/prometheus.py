"""Stats for Prometheus: Envoy's text format, one family at a time.

Envoy's text keeps the tags in the order in which they were found, prints `{}` where there are none, and calls a counter
by its bare name; prometheus-client sorts labels and adds `_total`. Dashboards know Envoy's, so that one is the default;
OpenMetrics, where it is asked for, is in openmetrics.py.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from meshproxy.observe.exposition import Selection
from meshproxy.observe.quantiles import QUANTILES, Counts, cumulative, quantiles, total
from meshproxy.observe.tags import Tag, TagProducer

_INVALID = re.compile(r"[^a-zA-Z0-9_:]")

Bounds = Callable[[str], Sequence[float]]
# Names of Envoy's own begin with `envoy_`; those of these namespaces stay as they are.
CUSTOM_NAMESPACES = ("wasmcustom.", "istiocustom.")


def metric_name(bare: str) -> str:
    for namespace in CUSTOM_NAMESPACES:
        if bare.startswith(namespace):
            return _INVALID.sub("_", bare[len(namespace) :])
    return "envoy_" + _INVALID.sub("_", bare)


def label_name(tag: str) -> str:
    return _INVALID.sub("_", tag)


def label_text(tags: Iterable[Tag]) -> str:
    return ",".join([f'{label_name(name)}="{_escape(value)}"' for name, value in tags])


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _families(rows: list[tuple[str, int]], tags: TagProducer) -> Iterator[tuple[str, list[tuple[str, str, int]]]]:
    """(bare name, [(full name, labels, value)]), sorted by bare name, then by full name."""
    labels: dict[tuple[Tag, ...], str] = {}
    split = []
    for full, value in rows:
        bare, found = tags.split(full)
        text = labels.get(found)
        if text is None:
            text = labels[found] = label_text(found)
        split.append((bare, full, text, value))
    split.sort(key=itemgetter(0, 1))
    for bare, group in groupby(split, key=itemgetter(0)):
        yield bare, [row[1:] for row in group]


def write(selection: Selection, tags: TagProducer, bounds: Bounds, summaries: bool = False) -> Iterator[str]:
    """The page, one family at a time. `summaries`: histograms as quantiles."""
    for kind, rows in (("counter", selection.counters), ("gauge", selection.gauges)):
        for bare, samples in _families(rows, tags):
            name = metric_name(bare)
            lines = [f"{name}{{{labels}}} {int(value)}\n" for _, labels, value in samples]
            yield f"# TYPE {name} {kind}\n{''.join(lines)}"
    for bare, samples in _families([(name, 0) for name, _ in selection.texts], tags):
        texts = dict(selection.texts)
        name = metric_name(bare)
        lines = [f'{name}{{{_and(labels)}text_value="{_escape(texts[full])}"}} 0\n' for full, labels, _ in samples]
        yield f"# TYPE {name} gauge\n{''.join(lines)}"
    counts = {name: all_ for name, _, all_ in selection.histograms}
    for bare, samples in _families([(name, 0) for name in counts], tags):
        name = metric_name(bare)
        yield f"# TYPE {name} {'summary' if summaries else 'histogram'}\n"
        for full, labels, _ in samples:
            if summaries:
                yield _summary(name, labels, counts[full])
            else:
                yield _histogram(name, labels, counts[full], bounds(full))


def _and(labels: str) -> str:
    return f"{labels}," if labels else ""


def _histogram(name: str, labels: str, counts: Counts, limits: Sequence[float]) -> str:
    samples = sum(counts.values())
    before = _and(labels)
    lines = [
        f'{name}_bucket{{{before}le="{limit:.32g}"}} {below}\n'
        for limit, below in zip(limits, cumulative(counts, limits), strict=True)
    ]
    lines.append(f'{name}_bucket{{{before}le="+Inf"}} {samples}\n')
    return "".join(lines) + _sum_and_count(name, labels, counts)


def _summary(name: str, labels: str, counts: Counts) -> str:
    before = _and(labels)
    pairs = zip(QUANTILES, quantiles(counts), strict=True)
    lines = [f'{name}{{{before}quantile="{quantile:g}"}} {value:.32g}\n' for quantile, value in pairs]
    return "".join(lines) + _sum_and_count(name, labels, counts)


def _sum_and_count(name: str, labels: str, counts: Counts) -> str:
    return f"{name}_sum{{{labels}}} {total(counts):.32g}\n{name}_count{{{labels}}} {sum(counts.values())}\n"
