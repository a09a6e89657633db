"""Stats for Prometheus: Envoy's text format line by line, and through prometheus-client where OpenMetrics is asked for.

Envoy's text keeps the tags in the order in which they were found, prints `{}` where there are none, and calls a counter
by its bare name; prometheus-client sorts labels and adds `_total`. Dashboards know Envoy's, so that one is the default.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest

from meshproxy.observe.exposition import Selection
from meshproxy.observe.quantiles import QUANTILES, Counts, cumulative, quantiles, total
from meshproxy.observe.tags import Tag, TagProducer

OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_INVALID = re.compile(r"[^a-zA-Z0-9_:]")

Bounds = Callable[[str], Sequence[float]]
# Names of Envoy's own begin with `envoy_`; those of these namespaces stay as they are.
CUSTOM_NAMESPACES = ("wasmcustom.", "istiocustom.")


def metric_name(bare: str) -> str:
    for namespace in CUSTOM_NAMESPACES:
        if bare.startswith(namespace):
            return _INVALID.sub("_", bare[len(namespace) :])
    return "envoy_" + _INVALID.sub("_", bare)


def label_text(tags: Iterable[Tag]) -> str:
    return ",".join([f'{_INVALID.sub("_", name)}="{_escape(value)}"' for name, value in tags])


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


class Collector:
    """The same for prometheus-client, which writes OpenMetrics (and anything else that it learns to write)."""

    def __init__(self, selection: Selection, tags: TagProducer, bounds: Bounds) -> None:
        self._selection = selection
        self._tags = tags
        self._bounds = bounds

    def collect(self) -> Iterator[Metric]:
        for bare, samples in self._families(self._selection.counters):
            metric = Metric(metric_name(bare).removesuffix("_total"), "", "counter")
            for labels, value in samples:
                metric.add_sample(f"{metric.name}_total", labels, int(value))
            yield metric
        for bare, samples in self._families(self._selection.gauges):
            metric = Metric(metric_name(bare), "", "gauge")
            for labels, value in samples:
                metric.add_sample(metric.name, labels, int(value))
            yield metric
        counts = {name: all_ for name, _, all_ in self._selection.histograms}
        for bare, rows in self._by_bare([(name, 0) for name in counts]):
            metric = Metric(metric_name(bare), "", "histogram")
            for full, labels, _ in rows:
                self._add_histogram(metric, labels, counts[full], self._bounds(full))
            yield metric

    def _families(self, rows: list[tuple[str, int]]) -> Iterator[tuple[str, list[tuple[dict[str, str], int]]]]:
        for bare, found in self._by_bare(rows):
            yield bare, [(labels, value) for _, labels, value in found]

    def _by_bare(self, rows: list[tuple[str, int]]) -> Iterator[tuple[str, list[tuple[str, dict[str, str], int]]]]:
        split = []
        for full, value in rows:
            bare, tags = self._tags.split(full)
            split.append((bare, full, {_INVALID.sub("_", name): text for name, text in tags}, value))
        split.sort(key=itemgetter(0, 1))
        for bare, group in groupby(split, key=itemgetter(0)):
            yield bare, [row[1:] for row in group]

    @staticmethod
    def _add_histogram(metric: Metric, labels: dict[str, str], counts: Counts, limits: Sequence[float]) -> None:
        samples = sum(counts.values())
        for limit, below in zip(limits, cumulative(counts, limits), strict=True):
            metric.add_sample(f"{metric.name}_bucket", {**labels, "le": f"{float(limit)}"}, below)
        metric.add_sample(f"{metric.name}_bucket", {**labels, "le": "+Inf"}, samples)
        metric.add_sample(f"{metric.name}_sum", labels, total(counts))
        metric.add_sample(f"{metric.name}_count", labels, samples)


def write_openmetrics(selection: Selection, tags: TagProducer, bounds: Bounds) -> bytes:
    page: bytes = generate_latest(  # type: ignore[no-untyped-call]
        Collector(selection, tags, bounds)
    )
    return page
