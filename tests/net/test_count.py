"""Counts with a limit: in one process, and in many at once."""

import multiprocessing
import os
from collections.abc import Callable
from typing import Any

import pytest

from meshproxy.net.count import Count, Counts, SharedCount
from meshproxy.net.shared_numbers import SharedNumbers
from meshproxy.net.token_bucket import SharedTokenBucket

_FORK = multiprocessing.get_context("fork")
_WORKERS = 4


def in_workers(numbers: SharedNumbers, work: Callable[[], None]) -> None:
    """Runs `work` in all of them at once."""

    def life(number: int) -> None:
        numbers.join(number)
        work()

    processes = [_FORK.Process(target=life, args=(number,)) for number in range(numbers.workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_count_does(workers: int) -> None:
    numbers = SharedNumbers(workers) if workers > 1 else None
    count = Counts(numbers).make(2)
    if numbers is not None:
        numbers.share()
        numbers.join(0)
    assert [count.take() for _ in range(3)] == [True, True, False]
    count.give()
    count.maximum = 1
    assert not count.take()
    count.add()
    assert (count.own, count.total) == (2, 2)


@pytest.mark.parametrize("maximum", [1, 3, 60])
def test_no_more_than_the_limit_in_all_workers(maximum: int) -> None:
    numbers = SharedNumbers(_WORKERS)
    count = SharedCount(maximum, numbers)
    numbers.share()
    # Counted by somebody else while they are in use.
    held = _FORK.Value("l", 0)
    most = _FORK.Value("l", 0)
    each = maximum // 2 + 1

    def note(change: int) -> None:
        with held.get_lock():
            held.value += change
            most.value = max(most.value, held.value)

    def work() -> None:
        for _ in range(2000 // each):
            taken = sum(count.take() for _ in range(each))
            note(taken)
            note(-taken)
            for _ in range(taken):
                count.give()

    in_workers(numbers, work)
    assert 0 < most.value <= maximum
    assert count.total == 0


def test_the_last_one_is_always_given_to_somebody() -> None:
    numbers = SharedNumbers(_WORKERS)
    count = SharedCount(500, numbers)
    numbers.share()
    taken: Any = _FORK.Value("l", 0)

    def work() -> None:
        own = sum(count.take() for _ in range(300))
        with taken.get_lock():
            taken.value += own

    in_workers(numbers, work)
    assert taken.value == count.total == 500


def test_what_a_dead_worker_had_is_free_again() -> None:
    numbers = SharedNumbers(2)
    first, second = SharedCount(3, numbers), SharedCount(3, numbers)
    numbers.share()
    for worker, takes in ((0, 1), (1, 2)):
        numbers.join(worker)
        assert all(first.take() for _ in range(takes))
        second.add()
    assert first.total == 3
    numbers.clear(1)
    assert (first.total, second.total) == (1, 1)


def test_a_lock_is_free_when_its_holder_dies() -> None:
    numbers = SharedNumbers(2)
    numbers.share()

    def die_with_it() -> None:
        numbers.join(0)
        numbers.lock()
        os._exit(0)

    process = _FORK.Process(target=die_with_it)
    process.start()
    process.join()
    with numbers.alone():
        pass


def test_main_tells_what_all_have_taken() -> None:
    numbers = SharedNumbers(2)
    count = SharedCount(9, numbers)
    numbers.share()
    assert count.shown_here
    numbers.join(1)
    count.add()
    assert not count.shown_here
    numbers.join(2)
    assert (count.own, count.total) == (0, 1)
    assert Count(1).shown_here


def test_a_bucket_gives_out_each_token_once() -> None:
    numbers = SharedNumbers(_WORKERS)
    now = 5.0
    bucket = SharedTokenBucket(1000, 1, 1.0, lambda: now, numbers)
    numbers.share()
    taken: Any = _FORK.Value("l", 0)

    def work() -> None:
        own = sum(bucket.take() for _ in range(500))
        with taken.get_lock():
            taken.value += own

    in_workers(numbers, work)
    assert taken.value == 1000
    assert not bucket.take()
    now = 7.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]


def test_buckets_by_key_are_the_same_in_all_workers() -> None:
    numbers = SharedNumbers(2)
    now = 1.0
    family = SharedTokenBucket(1, 1, 1000.0, lambda: now, numbers).family(2)
    numbers.share()
    numbers.join(0)
    assert family.find("a").take()
    numbers.join(1)
    assert not family.find("a").take()
    now = 2.0
    assert family.find("b").take()
    now = 3.0
    assert not family.find("a").take()
    # There is room for two: the one that was not used for longest is forgotten.
    assert family.find("c").take()
    now = 4.0
    assert not family.find("a").take()
    assert family.find("b").take()
