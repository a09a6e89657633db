"""Stats as statsd has them: `envoy.cluster.a.upstream_rq_200:3|c`, and its relatives that know tags.

Source: Envoy's statsd.cc. Counters are sent as what came since the last flush, gauges as they are, timings one by one.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from meshproxy.observe.families import Families
from meshproxy.observe.selection import Selection
from meshproxy.observe.shapes import Shapes
from meshproxy.observe.snapshot import Key, Snapshot
from meshproxy.observe.tags import Tag, TagProducer

# Timings of one histogram since the last flush: its group, its name, how often each value came.
Timings = tuple[Key, str, dict[int, int]]

# How many lines are sent at once: each may be a call of the system.
_LINES = 100


class Writer(Protocol):
    """Sends lines, and never waits: what cannot be sent is lost, and counted."""

    def write(self, lines: list[str]) -> None: ...
    def flush(self) -> None:
        """Nothing more comes for now."""

    def close(self) -> None: ...


class Dialect(NamedTuple):
    """`tags`: tags as text. `in_name`: that stands behind the name, rather than at the end. None: names keep theirs."""

    tags: Callable[[Iterable[Tag]], str] | None = None
    in_name: bool = False


def _dog(tags: Iterable[Tag]) -> str:
    text = ",".join([f"{name}:{value}" for name, value in tags])
    return f"|#{text}" if text else ""


def _graphite(tags: Iterable[Tag]) -> str:
    return "".join([f";{name}={value}" for name, value in tags])


PLAIN = Dialect()
DOGSTATSD = Dialect(_dog)
GRAPHITE = Dialect(_graphite, in_name=True)


class StatsdSink:
    """One sink. Stats that nothing has touched are left out."""

    def __init__(
        self, writer: Writer, dialect: Dialect, tags: TagProducer, accepts: Callable[[str], bool] | None,
        prefix: str = "",
    ) -> None:  # fmt: skip
        self.writer = writer
        self._prefix = prefix or "envoy"
        self._in_name = dialect.in_name
        with_tags = tags if dialect.tags is not None else TagProducer(use_defaults=False)
        self._shapes = Shapes(with_tags, accepts, dialect.tags or _no_tags)

    def send_numbers(self, snapshot: Snapshot, new: dict[str, int]) -> Iterator[None]:
        """`new`: by how much counters grew, where they did."""
        families = Families(Selection(frozenset({"counter", "gauge"}), used_only=True), self._shapes)
        for part in snapshot.sorted():
            families.add(part)
            yield
        for family in families:
            counted = family.kind == "counter"
            kind = "c" if counted else "g"
            for samples in family.chunks:
                for start in range(0, len(samples), _LINES):
                    self.writer.write([
                        self._line(family.bare, new.get(full, 0) if counted else int(value), kind, tags)
                        for full, tags, value in samples[start : start + _LINES]
                    ])  # fmt: skip
                    yield
        self._shapes.forget(snapshot.groups)
        self.writer.flush()

    def send_timings(self, timings: Iterable[Timings]) -> Iterator[None]:
        for key, name, counts in timings:
            found = self._shapes.named(key, self._shapes.of(key), name)
            if found is not None:
                for value, count in counts.items():
                    line = self._line(found[0], value, "ms", found[1])
                    for start in range(0, count, _LINES):
                        self.writer.write([line] * min(_LINES, count - start))
                        yield
        self.writer.flush()

    def _line(self, name: str, value: int, kind: str, tags: str) -> str:
        if self._in_name:
            return f"{self._prefix}.{name}{tags}:{value}|{kind}"
        return f"{self._prefix}.{name}:{value}|{kind}{tags}"


def _no_tags(_tags: Iterable[Tag]) -> str:
    return ""
