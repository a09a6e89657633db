"""Rates are the difference of two looks."""

import math

import pytest

from meshproxy.admin.home.history import POINTS, History
from meshproxy.admin.home.readings import Count

NAME = "cluster.reviews"


def counted(done: int, failed: int = 0, times: dict[int, int] | None = None) -> dict[str, Count]:
    return {NAME: Count(done, failed, times or {})}


def test_at_first_since_the_start() -> None:
    window = History().look(counted(100, 5, {10: 90, 200: 10}), now=1000.0, age=50.0)
    rate = window.rate(NAME)
    assert (window.live, window.seconds) == (False, 50.0)
    assert (rate.done, rate.failed, rate.share) == (2.0, 5, 0.05)
    assert 10 <= rate.p50 < 20
    assert 200 <= rate.p99 < 210


def test_then_since_the_look_before() -> None:
    history = History()
    history.look(counted(100, 100, {10: 100}), 1000.0, 50.0)
    window = history.look(counted(104, 100, {10: 100, 500: 4}), 1002.0, 52.0)
    rate = window.rate(NAME)
    assert (window.live, window.seconds) == (True, 2.0)
    assert (rate.done, rate.failed, rate.share) == (2.0, 0, 0.0)
    assert rate.p50 >= 500


def test_over_some_seconds_however_often_one_looks() -> None:
    history = History()
    spans = [history.look(counted(n), 1000.0 + n, 50.0 + n).seconds for n in range(30)]
    assert all(5.0 <= span < 10.0 for span in spans[5:])


def test_two_who_look_at_once_do_not_divide_by_nothing() -> None:
    history = History()
    history.look(counted(1), 1000.0, 1.0)
    assert history.look(counted(1), 1000.0, 1.0).live is False


def test_counters_that_were_reset() -> None:
    history = History()
    history.look(counted(100, 50), 1000.0, 50.0)
    rate = history.look(counted(4, 1), 1002.0, 52.0).rate(NAME)
    assert (rate.done, rate.failed) == (2.0, 1)


def test_several_together_and_what_is_not_there() -> None:
    readings = {"a": Count(10, 1), "b": Count(30, 3)}
    rate = History().look(readings, 0.0, 10.0).rate("a", "b", "gone")
    assert (rate.done, rate.failed, rate.share) == (4.0, 4, 0.1)
    assert math.isnan(rate.p50)


def test_trend() -> None:
    history = History()
    for n in range(4):
        history.look(counted(10 * n, n), 1000.0 + 2 * n, 1.0)
    assert history.trend(NAME) == [(5.0, 0.5)] * 3
    assert history.trend("gone") == [(0.0, 0.0)] * 3


def test_a_trend_is_bounded_and_does_not_bridge_gaps() -> None:
    history = History()
    for n in range(POINTS + 9):
        history.look(counted(n), 1000.0 + 2 * n, 1.0)
    assert len(history.trend(NAME)) == POINTS - 1
    history.look(counted(1000), 5000.0, 1.0)
    assert history.trend(NAME) == []


@pytest.mark.parametrize("names", [(), (NAME,)])
def test_nothing_is_no_error(names: tuple[str, ...]) -> None:
    assert History().look({}, 0.0, 0.0).rate(*names).share == 0.0
