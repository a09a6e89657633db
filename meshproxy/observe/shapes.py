"""What is known of a group's names once they were looked at: which of them are shown, and with which tags.

Tags and matchers of names are regexes; they are asked once for each name, and what they said is kept per group in some
300 bytes: most names of a group have the same tags and differ in nothing but their end.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from meshproxy.observe.snapshot import Key
from meshproxy.observe.stats import StatGroup
from meshproxy.observe.tags import Tag, TagProducer

T = TypeVar("T")
# The name without its tags, and the tags as text.
Labelled = tuple[str, str]
_NONE: frozenset[str] = frozenset()


class Shape:
    """`head + name` with `labels` is what every name of the group is, but for those in `named`.

    hidden: names that are not shown. apart: those, and the ones in `named` that the class has.
    """

    __slots__ = ("apart", "head", "hidden", "labels", "named")

    def __init__(self, head: str, labels: str, hidden: frozenset[str], named: dict[str, Labelled | None]) -> None:
        self.head = head
        self.labels = labels
        self.hidden = hidden
        # Also, as they come, the names that the class does not list; None for one that is not shown.
        self.named = named
        self.apart = hidden.union(named) if named else hidden


class Shapes:
    """The shapes of all groups. accepts: whether a stat of this name is shown; None for all. text: tags as text."""

    def __init__(
        self, tags: TagProducer, accepts: Callable[[str], bool] | None, text: Callable[[Iterable[Tag]], str]
    ) -> None:
        self._tags = tags
        self._accepts = accepts
        self._text = text
        self._shapes: dict[Key, Shape] = {}
        # Names and sets of them, which many groups have in common, are kept once.
        self._same: dict[object, object] = {}

    def of(self, key: Key) -> Shape:
        shape = self._shapes.get(key)
        if shape is None:
            shape = self._shapes[key] = self._make(*key)
        return shape

    def hidden(self, key: Key) -> frozenset[str]:
        """Which names that the class lists are not shown."""
        return _NONE if self._accepts is None else self.of(key).hidden

    def shows(self, key: Key, name: str) -> bool:
        """Whether a name is shown that the class does not list."""
        return self._accepts is None or self.named(key, self.of(key), name) is not None

    def named(self, key: Key, shape: Shape, name: str) -> Labelled | None:
        """What a name is that may be one of those which the class does not list; None where it is not shown."""
        if name in shape.named:
            return shape.named[name]
        if name in shape.hidden:
            return None
        if name in key[1].NUMBERS or name in key[1].HISTOGRAMS:
            return shape.head + name, shape.labels
        full = f"{key[0]}.{name}" if key[0] else name
        found: Labelled | None = None
        if self._accepts is None or self._accepts(full):
            bare, tags = self._tags.split(full)
            found = self._once(bare), self._text(tags)
        shape.named[self._once(name)] = found
        return found

    def forget(self, but: Iterable[Key]) -> None:
        """Groups that are gone, where that is worth the while."""
        keep = set(but)
        if len(self._shapes) > 2 * len(keep):
            self._shapes = {key: shape for key, shape in self._shapes.items() if key in keep}

    def _make(self, prefix: str, cls: type[StatGroup]) -> Shape:
        names = (*cls.NUMBERS, *cls.HISTOGRAMS)
        hidden = _NONE
        if self._accepts is not None:
            begin = f"{prefix}." if prefix else ""
            hidden = frozenset([name for name in names if not self._accepts(begin + name)])
        shown = [name for name in names if name not in hidden]
        split = dict(zip(shown, self._tags.split_group(prefix, shown), strict=True))
        heads = {name: (bare.removesuffix(name), tags) for name, (bare, tags) in split.items() if bare.endswith(name)}
        head, tags = Counter(heads.values()).most_common(1)[0][0] if heads else ("", ())
        named: dict[str, Labelled | None] = {
            name: (bare, self._text(its)) for name, (bare, its) in split.items() if heads.get(name) != (head, tags)
        }
        return Shape(self._once(head), self._text(tags), self._once(hidden), named)

    def _once(self, value: T) -> T:
        return cast(T, self._same.setdefault(value, value))
