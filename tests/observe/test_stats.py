"""Groups, snapshots and their sum over workers."""

import pickle

from meshproxy.observe.snapshot import merge, take
from meshproxy.observe.stats import Histogram, Registry, StatGroup


class Group(StatGroup):
    COUNTERS = ("seen",)
    GAUGES = ("active", "members")
    HISTOGRAMS = ("time",)
    SAME = frozenset({"members"})

    __slots__ = (*COUNTERS, *GAUGES, *HISTOGRAMS)


def registry(*groups: Group) -> Registry:
    made = Registry()
    for group in groups:
        made.add("a", group)
    return made


def test_untouched_numbers_are_false_and_a_gauge_set_to_zero_is_not() -> None:
    group = Group()
    group.active += 1
    group.active -= 1
    taken = take(registry(group))
    assert taken.gauges["a.active"] is not False
    assert taken.gauges["a.active"] == 0
    assert taken.gauges["a.members"] is False
    assert taken.counters["a.seen"] is False


def test_reset_keeps_counters_in_use() -> None:
    group = Group()
    group.seen += 3
    group.active = 2
    stats = registry(group)
    stats.reset()
    taken = take(stats)
    assert (taken.counters["a.seen"], taken.gauges["a.active"]) == (0, 2)
    assert taken.counters["a.seen"] is not False


def test_groups_with_one_prefix_are_summed() -> None:
    first, second = Group(), Group()
    first.seen, second.seen = 2, 3
    first.time.record(5)
    second.time.record(5)
    taken = take(registry(first, second, Group()))
    assert taken.counters["a.seen"] == 5
    assert taken.histograms["a.time"] == {5: 2}


def test_workers_are_added_up_except_for_what_all_of_them_see() -> None:
    taken = []
    for seen in (1, 2):
        group = Group()
        group.seen, group.members = seen, 4
        group.time.record(1)
        taken.append(pickle.loads(pickle.dumps(take(registry(group)))))
    merged = merge(taken)
    assert merged.counters == {"a.seen": 3}
    assert merged.gauges["a.members"] == 4
    assert merged.gauges["a.active"] is False
    assert merged.histograms["a.time"] == {1: 2}


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
    assert take(stats).counters == {}
