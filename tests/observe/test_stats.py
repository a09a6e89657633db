"""Groups, snapshots and their sum over workers."""

import pickle

from meshproxy.observe.snapshot import Snapshot, Taken, take
from meshproxy.observe.stats import Histogram, Registry, StatGroup


class Group(StatGroup):
    COUNTERS = ("seen",)
    GAUGES = ("active", "members")
    HISTOGRAMS = ("time",)
    SAME = frozenset({"members"})

    __slots__ = (*COUNTERS, *GAUGES, *HISTOGRAMS)


def taken(*groups: Group) -> Taken:
    """What there is of all of them together."""
    return Snapshot(take(registry(*groups))).groups["a", Group]


def values(of: Taken) -> dict[str, int]:
    return dict(zip(Group.NUMBERS, of.numbers, strict=True))


def registry(*groups: Group) -> Registry:
    made = Registry()
    for group in groups:
        made.add("a", group)
    return made


def test_untouched_numbers_are_false_and_a_gauge_set_to_zero_is_not() -> None:
    group = Group()
    group.active += 1
    group.active -= 1
    found = values(taken(group))
    assert found["active"] is not False
    assert found["active"] == 0
    assert found["members"] is False
    assert found["seen"] is False


def test_reset_keeps_counters_in_use() -> None:
    group = Group()
    group.seen += 3
    group.active = 2
    registry(group).reset()
    assert values(taken(group)) == {"seen": 0, "active": 2, "members": 0}
    assert group.seen is not False


def test_groups_with_one_prefix_are_summed() -> None:
    first, second = Group(), Group()
    first.seen, second.seen = 2, 3
    first.time.record(5)
    second.time.record(5)
    found = taken(first, second, Group())
    assert values(found)["seen"] == 5
    assert found.histograms == ({5: 2},)


def test_workers_are_added_up_except_for_what_all_of_them_see() -> None:
    merged = Snapshot()
    for seen in (1, 2):
        group = Group()
        group.seen, group.members = seen, 4
        group.time.record(1)
        for part in pickle.loads(pickle.dumps(list(take(registry(group))))):
            merged.add(*part)
    found = merged.groups["a", Group]
    assert values(found) == {"seen": 3, "members": 4, "active": 0}
    assert values(found)["active"] is False
    assert found.histograms == ({1: 2},)


def test_of_a_worker_that_is_gone_counters_and_histograms_stay() -> None:
    group = Group()
    group.seen, group.active, group.members = 2, 5, 4
    group.time.record(1)
    snapshot = Snapshot(take(registry(group)))
    left = Snapshot(snapshot.without_gauges()).groups["a", Group]
    assert values(left) == {"seen": 2, "active": 0, "members": 0}
    assert values(left)["active"] is False
    assert left.histograms == ({1: 1},)


def test_numbers_may_be_made_of_others() -> None:
    class Made(StatGroup):
        COUNTERS = ("seen",)
        GAUGES = ("double", "inner.seen")
        __slots__ = ("inner", *COUNTERS)

        @property
        def double(self) -> int:
            return 2 * int(self.seen)

    made = Made()
    made.inner, made.seen = Group(), 4
    assert list(made.rows()) == [("gauge", "double", 8), ("gauge", "inner.seen", False), ("counter", "seen", 4)]


def test_histograms_keep_two_digits() -> None:
    histogram = Histogram()
    for value in (0, 7, 99, 100, 109, 1234, 98765):
        histogram.record(value)
    assert histogram.counts == {0: 1, 7: 1, 99: 1, 100: 2, 1200: 1, 98000: 1}


def test_removed_groups_are_gone() -> None:
    group = Group()
    stats = registry(group)
    stats.remove("a", group)
    stats.remove("a", group)
    assert list(take(stats)) == []
