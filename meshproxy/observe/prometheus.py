"""Stats for Prometheus: Envoy's text format, and OpenMetrics for who asks for it; one family at a time.

Envoy's text keeps the tags in the order in which they were found, prints `{}` where there are none, and calls a counter
by its bare name. OpenMetrics keeps those names, because dashboards know them: a counter whose name does not end in
`_total` is of type `unknown` there, which may have any name.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache, lru_cache

from meshproxy.observe.exposition import Bounds
from meshproxy.observe.families import Families, Family
from meshproxy.observe.quantiles import QUANTILES, Counts, cumulative, quantiles, total
from meshproxy.observe.tags import Tag

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_INVALID = re.compile(r"[^a-zA-Z0-9_:]")
# Names of Envoy's own begin with `envoy_`; those of these namespaces stay as they are.
CUSTOM_NAMESPACES = ("wasmcustom.", "istiocustom.")
# Stands for the labels in the lines of an empty histogram.
_LABELS = "\0"


def metric_name(bare: str) -> str:
    for namespace in CUSTOM_NAMESPACES:
        if bare.startswith(namespace):
            return _INVALID.sub("_", bare[len(namespace) :])
    return "envoy_" + _INVALID.sub("_", bare)


@cache
def label_name(tag: str) -> str:
    return _INVALID.sub("_", tag)


def label_text(tags: Iterable[Tag]) -> str:
    return ",".join([f'{label_name(name)}="{_escape(value)}"' for name, value in tags])


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def write(families: Families, bounds: Bounds, summaries: bool = False, others: str = "") -> Iterator[str]:
    """Envoy's page. `summaries`: histograms as quantiles; `others`: families that are text already."""
    for family in families:
        name = metric_name(family.bare)
        if family.kind == "histogram":
            kind = "summary" if summaries else "histogram"
            lines = _summaries(name, family) if summaries else _histograms(name, family, bounds, _long)
        else:
            kind = "counter" if family.kind == "counter" else "gauge"
            lines = _numbers(name, family)
        yield from _headed(f"# TYPE {name} {kind}\n", lines)
    yield others


def write_openmetrics(families: Families, bounds: Bounds, others: str = "") -> Iterator[str]:
    """The same samples as OpenMetrics 1.0."""
    found = list(families)
    names = {metric_name(family.bare) for family in found}
    for family in found:
        name = metric_name(family.bare)
        if family.kind == "histogram":
            yield from _headed(f"# TYPE {name} histogram\n", _histograms(name, family, bounds, _float))
        elif family.kind == "counter":
            yield from _headed(_counter_head(name, names), _numbers(name, family))
        else:
            yield from _headed(f"# TYPE {name} gauge\n", _numbers(name, family))
    yield others
    yield "# EOF\n"


def _counter_head(name: str, names: Collection[str]) -> str:
    """A family is called as its samples are, without their `_total`; no two may have one name."""
    family = name.removesuffix("_total")
    return f"# TYPE {name} unknown\n" if family in names else f"# TYPE {family} counter\n"


def _headed(head: str, lines: Iterator[str]) -> Iterator[str]:
    """The head comes with the first line; there may be none."""
    for text in lines:
        if text and head:
            yield head
            head = ""
        yield text


def _numbers(name: str, family: Family) -> Iterator[str]:
    for samples in family.chunks:
        if family.kind == "text":
            lines = [f'{name}{{{_and(labels)}text_value="{_escape(text)}"}} 0\n' for _, labels, text in samples]
        else:
            lines = [f"{name}{{{labels}}} {value:d}\n" for _, labels, value in samples]
        yield "".join(lines)


def _and(labels: str) -> str:
    return f"{labels}," if labels else ""


def _histograms(name: str, family: Family, bounds: Bounds, text: Callable[[float], str]) -> Iterator[str]:
    empty: dict[Sequence[float], str] = {}
    for samples in family.chunks:
        for full, labels, counts in samples:
            limits = bounds(full)
            if counts:
                yield _histogram(name, labels, counts, limits, text)
                continue
            form = empty.get(limits)
            if form is None:
                form = empty[limits] = _histogram(name, _LABELS, {}, limits, text)
            yield form.replace(_LABELS, labels) if labels else _histogram(name, "", {}, limits, text)
        yield ""


def _histogram(name: str, labels: str, counts: Counts, limits: Sequence[float], text: Callable[[float], str]) -> str:
    samples = sum(counts.values())
    before = f"{name}_bucket{{{_and(labels)}le="
    below = cumulative(counts, limits)
    lines = [f'{before}"{text(limit)}"}} {count}\n' for limit, count in zip(limits, below, strict=True)]
    lines.append(f'{before}"+Inf"}} {samples}\n')
    return "".join(lines) + _sum_and_count(name, labels, counts, text)


def _summaries(name: str, family: Family) -> Iterator[str]:
    for samples in family.chunks:
        for _, labels, counts in samples:
            before = f"{name}{{{_and(labels)}quantile="
            pairs = zip(QUANTILES, quantiles(counts), strict=True)
            lines = [f'{before}"{quantile:g}"}} {_long(value)}\n' for quantile, value in pairs]
            yield "".join(lines) + _sum_and_count(name, labels, counts, _long)
        yield ""


def _sum_and_count(name: str, labels: str, counts: Counts, text: Callable[[float], str]) -> str:
    return f"{name}_sum{{{labels}}} {text(total(counts))}\n{name}_count{{{labels}}} {sum(counts.values())}\n"


@lru_cache(256)
def _long(value: float) -> str:
    """All digits of the double, as Envoy prints them."""
    return f"{value:.32g}"


@lru_cache(256)
def _float(value: float) -> str:
    """OpenMetrics wants a point in every bound."""
    return repr(float(value))
