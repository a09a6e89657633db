"""Numbers whose names come with requests, such as those of a gRPC method; as clients choose them, they are bounded."""

from collections.abc import Iterator

from meshproxy.observe.stats import Histogram, Row, StatGroup

# Of one cluster. What comes beyond is counted without the part of the name that the client chose.
KEPT = 10_000
_SPARE = 100


class NamedStats:
    """A name is `<first>.<what clients choose>.<last>`; `prefix` is all but the last part, with its dot."""

    __slots__ = ("_counts", "_times")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._times: dict[str, Histogram] = {}

    def count(self, prefix: str, name: str, by: int = 1) -> None:
        counts = self._counts
        full = prefix + name
        known = counts.get(full)
        if known is None:
            if len(counts) >= KEPT:
                full = _without_choice(prefix) + name
                if full not in counts and len(counts) >= KEPT + _SPARE:
                    return
            known = counts.get(full, 0)
        counts[full] = known + by

    def record(self, prefix: str, name: str, value: int) -> None:
        times = self._times
        full = prefix + name
        if full not in times:
            if len(times) >= KEPT:
                full = _without_choice(prefix) + name
            if full not in times:
                times[full] = StatGroup.HISTOGRAM()
        times[full].record(value)

    def rows(self) -> Iterator[Row]:
        for name, value in self._counts.items():
            yield "counter", name, value
        for name, time in self._times.items():
            yield "histogram", name, time

    def reset(self) -> None:
        self._counts = dict.fromkeys(self._counts, 0)


def _without_choice(prefix: str) -> str:
    return prefix.partition(".")[0] + "."
