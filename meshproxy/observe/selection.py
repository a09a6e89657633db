"""Which stats a page shows, and those of a snapshot that it shows in the order of their names."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TypeVar

from meshproxy.observe.shapes import Shapes
from meshproxy.observe.snapshot import Counts, Part, Snapshot, add_counts, add_numbers
from meshproxy.observe.stats import Kind

T = TypeVar("T")
# Of these full names, those that are shown.
Filter = Callable[[Sequence[str]], Collection[str]]
Rows = list[tuple[str, T]]

NUMBERS: frozenset[Kind] = frozenset({"counter", "gauge"})
_TEXTS: frozenset[Kind] = frozenset({"text"})


@dataclass(slots=True)
class Selection:
    """`kinds`: which kinds are shown. `used_only`: only stats that something touched. `names`: None for all."""

    kinds: frozenset[Kind] = frozenset({"counter", "gauge", "histogram", "text"})
    used_only: bool = False
    names: Filter | None = None

    def leave(self, rows: Rows[T]) -> Rows[T]:
        """What the filter of names leaves of these."""
        if self.names is None or not rows:
            return rows
        left = self.names([row[0] for row in rows])
        return [row for row in rows if row[0] in left] if left else []


class Ordered:
    """A snapshot in the order of its full names, a bundle of groups at a time.

    A bundle is the groups of one prefix and of those that begin with it, such as `server` and `server.worker_0`: only
    inside it names have to be sorted.
    """

    def __init__(self, snapshot: Snapshot, selection: Selection, shapes: Shapes) -> None:
        self._selection = selection
        self._shapes = shapes
        self._parts = snapshot.sorted()

    def texts(self) -> Iterator[Rows[str]]:
        """All of them at last, and nothing before."""
        rows: Rows[str] = []
        for part in self._parts:
            if part[1].more:
                rows += self._more(part, _TEXTS, str)
                yield []
        if "text" in self._selection.kinds:
            yield self._selection.leave(sorted(rows))

    def numbers(self) -> Iterator[Rows[int]]:
        """Counters and gauges."""
        kinds = self._selection.kinds & NUMBERS
        if kinds:
            for bundle in self._bundles():
                rows = [row for part in bundle for row in self._numbers(part, kinds)]
                yield self._selection.leave(_joined(rows, add_numbers))

    def histograms(self) -> Iterator[Rows[Counts]]:
        if "histogram" in self._selection.kinds:
            for bundle in self._bundles():
                rows = [row for part in bundle for row in self._histograms(part)]
                yield self._selection.leave(_joined(rows, add_counts))

    def _bundles(self) -> Iterator[list[Part]]:
        bundle: list[Part] = []
        root = ""
        for part in self._parts:
            begin = f"{part[0][0]}."
            if bundle and not begin.startswith(root):
                yield bundle
                bundle = []
            if not bundle:
                root = begin
            bundle.append(part)
        if bundle:
            yield bundle

    def _numbers(self, part: Part, kinds: frozenset[Kind]) -> Rows[int]:
        (prefix, cls), taken = part
        begin = f"{prefix}." if prefix else ""
        pairs: Iterable[tuple[str, int]] = zip(cls.NUMBERS, taken.numbers, strict=True)
        if kinds != NUMBERS:
            pairs = compress(pairs, [kind in kinds for kind in cls.KINDS])
        if hidden := self._shapes.hidden(part[0]):
            pairs = [pair for pair in pairs if pair[0] not in hidden]
        if self._selection.used_only:
            rows = [(begin + name, value) for name, value in pairs if value is not False]
        else:
            rows = [(begin + name, value) for name, value in pairs]
        return [*rows, *self._more(part, kinds, int)] if taken.more else rows

    def _histograms(self, part: Part) -> Rows[Counts]:
        (prefix, cls), taken = part
        begin = f"{prefix}." if prefix else ""
        hidden = self._shapes.hidden(part[0]) if cls.HISTOGRAMS else ()
        used_only = self._selection.used_only
        rows = [
            (begin + name, counts)
            for name, counts in zip(cls.HISTOGRAMS, taken.histograms, strict=True)
            if name not in hidden and (counts or not used_only)
        ]
        return [*rows, *self._more(part, frozenset({"histogram"}), dict)] if taken.more else rows

    def _more(self, part: Part, kinds: frozenset[Kind], of: type[T]) -> Rows[T]:
        """What the group has beside the names of its class, of these kinds."""
        key, taken = part
        begin = f"{key[0]}." if key[0] else ""
        rows: Rows[T] = []
        for (kind, name), value in taken.more.items():
            wanted = kind in kinds and (used(value) or not self._selection.used_only)
            if wanted and isinstance(value, of) and self._shapes.shows(key, name):
                rows.append((begin + name, value))
        return rows


def used(value: int | str | Counts) -> bool:
    return value is not False if isinstance(value, int) else bool(value)


def _joined(rows: Rows[T], add: Callable[[T, T], T]) -> Rows[T]:
    """Sorted; equal names become one."""
    found = dict(rows)
    if len(found) != len(rows):
        found.clear()
        for name, value in rows:
            found[name] = add(found[name], value) if name in found else value
    return sorted(found.items(), key=_name)


def _name(row: tuple[str, object]) -> str:
    return row[0]
