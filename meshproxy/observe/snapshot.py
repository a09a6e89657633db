"""All stats at one moment, as plain dicts: what workers send to main, and what every page of stats is made from."""

from collections.abc import Iterable

from meshproxy.observe.stats import Histogram, Registry

Counts = dict[int, int]


class Snapshot:
    """Values by full name. A number that is False was never touched (see stats.py). Small to pickle."""

    __slots__ = ("counters", "gauges", "histograms", "same", "texts")

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.gauges: dict[str, int] = {}
        self.texts: dict[str, str] = {}
        self.histograms: dict[str, Counts] = {}
        # Names whose number is the same in every worker.
        self.same: set[str] = set()


def take(registry: Registry) -> Snapshot:
    """The stats of this process now."""
    found = Snapshot()
    for prefix, group in registry.groups():
        begin = f"{prefix}." if prefix else ""
        for kind, name, value in group.rows():
            full = begin + name
            if isinstance(value, Histogram):
                _merge_counts(found.histograms, full, value.counts)
            elif isinstance(value, str):
                found.texts[full] = value
            else:
                _add(found.counters if kind == "counter" else found.gauges, full, value)
        if group.SAME:
            found.same.update([begin + name for name in group.SAME])
    return found


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """The stats of several workers as those of one proxy."""
    merged = Snapshot()
    for each in snapshots:
        merged.same |= each.same
        for numbers, others in ((merged.counters, each.counters), (merged.gauges, each.gauges)):
            for name, value in others.items():
                if name in each.same:
                    known = numbers.get(name, False)
                    numbers[name] = value if known is False or value > known else known
                else:
                    _add(numbers, name, value)
        merged.texts.update(each.texts)
        for name, counts in each.histograms.items():
            _merge_counts(merged.histograms, name, counts)
    return merged


def _add(numbers: dict[str, int], name: str, value: int) -> None:
    known = numbers.get(name, False)
    # False + False would be a 0 that looks used.
    numbers[name] = value if known is False else known if value is False else known + value


def _merge_counts(histograms: dict[str, Counts], name: str, counts: Counts) -> None:
    known = histograms.get(name)
    if known is None:
        histograms[name] = dict(counts)
        return
    for value, count in counts.items():
        known[value] = known.get(value, 0) + count
