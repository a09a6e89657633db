"""What becomes of exchanges, counted in one process and in several together."""

import pytest

from meshproxy.net.shared_numbers import SharedNumbers
from meshproxy.upstream.outliers.tally import ERRORS, GATEWAY_ERRORS, LOCAL_ERRORS, Tallies, Tally


@pytest.fixture(params=["own", "shared"])
def tally(request: pytest.FixtureRequest) -> Tally:
    numbers = SharedNumbers(2) if request.param == "shared" else None
    tallies = Tallies(numbers, 1)
    if numbers is not None:
        numbers.share()
    return tallies.take()


def test_series(tally: Tally) -> None:
    assert tally.bad(gateway=True) == (1, 1)
    assert tally.bad(gateway=True) == (2, 2)
    assert tally.bad(gateway=False) == (3, 0)
    tally.good()
    assert tally.bad(gateway=True) == (1, 1)
    assert (tally.local_bad(), tally.local_bad()) == (1, 2)
    tally.local_good()
    assert tally.local_bad() == 1
    tally.end_series(ERRORS, GATEWAY_ERRORS, LOCAL_ERRORS)
    assert (tally.bad(True), tally.local_bad()) == ((1, 1), 1)


def test_since_last(tally: Tally) -> None:
    tally.good()
    tally.bad(gateway=False)
    tally.local_good()
    tally.local_bad()
    assert tally.since_last() == (2, 1, 2, 1)
    assert tally.since_last() == (0, 0, 0, 0)
    tally.good()
    assert tally.since_last() == (1, 1, 0, 0)


def test_workers_count_together_and_one_that_dies_takes_nothing_else_with_it() -> None:
    numbers = SharedNumbers(2)
    tallies = Tallies(numbers, 1)
    numbers.share()
    tally = tallies.take()
    for worker in (0, 1):
        numbers.join(worker)
        tally.bad(gateway=True)
    numbers.join(2)
    assert tally.since_last() == (2, 0, 0, 0)
    numbers.join(1)
    tally.good()
    assert tally.bad(gateway=False) == (1, 0)
    numbers.clear(0)
    # The sum went down by what the dead one had, and nobody takes that for fewer than none.
    assert tally.since_last() == (1, 1, 0, 0)


def test_a_slot_begins_anew_for_the_next_endpoint() -> None:
    numbers = SharedNumbers(1)
    tallies = Tallies(numbers, 1)
    numbers.share()
    first = tallies.take()
    first.bad(gateway=True)
    beyond = tallies.take()
    assert type(beyond) is Tally
    tallies.give(first)
    second = tallies.take()
    assert type(second) is not Tally
    assert second.since_last() == (0, 0, 0, 0)
    assert second.bad(gateway=True) == (1, 1)
