"""The sink that streams stats to a metrics service, as Prometheus' own messages (io.prometheus.client.MetricFamily).

Source: Envoy's grpc_metrics_service_impl.cc. A family for each stat that was used, with one metric; histograms of what
came since the last flush, as a summary, as a histogram, or both.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from meshproxy.config.delimited import delimited
from meshproxy.config.structs import utf8
from meshproxy.config.types import message_class
from meshproxy.observe.families import Families, Family
from meshproxy.observe.quantiles import QUANTILES, Counts, cumulative, quantiles, total
from meshproxy.observe.selection import Selection
from meshproxy.observe.shapes import Shapes
from meshproxy.observe.sinks.statsd import Timings
from meshproxy.observe.snapshot import Snapshot
from meshproxy.observe.stats import Kind
from meshproxy.observe.stats_config import StatsConfig
from meshproxy.observe.tags import Tag, TagProducer
from meshproxy.upstream.message_stream import MessageStream

# How many stats are turned into messages at once.
_SLICE = 50
_KINDS: frozenset[Kind] = frozenset({"counter", "gauge", "histogram"})
_BETWEEN = "\0"


@dataclass(frozen=True, slots=True)
class Emit:
    """How stats are told. batch: how many go into a message; 0 for all of a flush."""

    deltas: bool = False
    labels: bool = False
    summaries: bool = True
    histograms: bool = True
    batch: int = 0


class MetricsSink:
    """writer: takes messages without their identifier, which it puts before the first of a stream."""

    def __init__(self, writer: MessageStream, config: StatsConfig, emit: Emit) -> None:
        self.writer = writer
        self._emit = emit
        self._bounds = config.bounds
        self._shapes = Shapes(config.tags if emit.labels else TagProducer(use_defaults=False), config.accepts, _text)
        self._family = message_class("io.prometheus.client.MetricFamily")
        self._field = message_class("envoy.service.metrics.v3.StreamMetricsMessage").DESCRIPTOR.fields_by_name[
            "envoy_metrics"
        ].number
        self._now = 0
        # What histograms had at the last flush, and have now.
        self._told: dict[str, Counts] = {}
        self._found: dict[str, Counts] = {}

    def send_timings(self, timings: Iterable[Timings]) -> Iterator[None]:
        """They are told as histograms."""
        return iter(())

    def send_numbers(self, snapshot: Snapshot, new: dict[str, int]) -> Iterator[None]:
        """`new`: by how much counters grew, where they did."""
        self._now = int(time.time() * 1000)
        families = Families(Selection(_KINDS, used_only=True), self._shapes)
        for part in snapshot.sorted():
            families.add(part)
            yield
        batch: list[bytes] = []
        for family in families:
            for samples in family.chunks:
                for start in range(0, len(samples), _SLICE):
                    for full, labels, value in samples[start : start + _SLICE]:
                        batch += self._families(family, full, labels, value, new)
                    if self._emit.batch:
                        batch = self._send_batches(batch)
                    yield
        if batch:
            self.writer.send(b"".join(batch))
        self._told, self._found = self._found, {}
        self._shapes.forget(snapshot.groups)

    def _send_batches(self, waiting: list[bytes]) -> list[bytes]:
        """Sends whole batches; what is left."""
        size = self._emit.batch
        while len(waiting) >= size:
            self.writer.send(b"".join(waiting[:size]))
            waiting = waiting[size:]
        return waiting

    def _families(
        self, family: Family, full: str, labels: str, value: Any, new: dict[str, int]
    ) -> Iterator[bytes]:
        name = utf8(family.bare)
        if family.kind == "histogram":
            came = _difference(value, self._told.get(full, {}))
            self._found[full] = value
            if self._emit.summaries:
                yield self._encoded(name, "SUMMARY", labels, lambda metric: _fill_summary(metric.summary, came))
            if self._emit.histograms:
                bounds = self._bounds(full)
                yield self._encoded(
                    name, "HISTOGRAM", labels, lambda metric: _fill_histogram(metric.histogram, came, bounds)
                )
        elif family.kind == "counter":
            count = new.get(full, 0) if self._emit.deltas else value
            yield self._encoded(name, "COUNTER", labels, lambda metric: _fill_value(metric.counter, count))
        else:
            yield self._encoded(name, "GAUGE", labels, lambda metric: _fill_value(metric.gauge, value))

    def _encoded(self, name: str, kind: str, labels: str, fill: Callable[[Any], None]) -> bytes:
        family = self._family(name=name, type=kind)
        metric = family.metric.add(timestamp_ms=self._now)
        for label, value in _labels(labels):
            metric.label.add(name=label, value=value)
        fill(metric)
        return delimited(self._field, family.SerializeToString())


def _fill_value(message: Any, value: float) -> None:
    message.value = value


def _fill_summary(message: Any, counts: Counts) -> None:
    message.sample_count = sum(counts.values())
    message.sample_sum = total(counts)
    for quantile, value in zip(QUANTILES, quantiles(counts), strict=True):
        message.quantile.add(quantile=quantile, value=value)


def _fill_histogram(message: Any, counts: Counts, bounds: Sequence[float]) -> None:
    message.sample_count = sum(counts.values())
    message.sample_sum = total(counts)
    for bound, below in zip(bounds, cumulative(counts, bounds), strict=True):
        message.bucket.add(upper_bound=bound, cumulative_count=below)


def _difference(now: Counts, before: Counts) -> Counts:
    """What came since; where less is there than before, the histogram began anew."""
    if any(now.get(value, 0) < count for value, count in before.items()):
        return now
    grown = {value: count - before.get(value, 0) for value, count in now.items()}
    return {value: count for value, count in grown.items() if count}


def _text(tags: Iterable[Tag]) -> str:
    return _BETWEEN.join([piece for tag in tags for piece in tag])


@lru_cache(4096)
def _labels(text: str) -> list[tuple[str, str]]:
    pieces = [utf8(piece) for piece in text.split(_BETWEEN)] if text else []
    return list(zip(pieces[::2], pieces[1::2], strict=True))
