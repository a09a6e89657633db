"""Stats as OpenMetrics, written by prometheus-client.

The library costs 3 MB and 50 ms to import, so this module is imported by the first scrape that asks for OpenMetrics.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest

from meshproxy.observe.exposition import Selection
from meshproxy.observe.prometheus import Bounds, label_name, metric_name
from meshproxy.observe.quantiles import Counts, cumulative, total
from meshproxy.observe.tags import TagProducer

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Collector:
    """A collector of prometheus-client over what was selected."""

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
            split.append((bare, full, {label_name(name): text for name, text in tags}, value))
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
