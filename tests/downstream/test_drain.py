"""How a drain decides about one response."""

from typing import Any

import pytest

from meshproxy.downstream.drain import Gradual, always


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now


def share(decide: Gradual) -> float:
    return sum(decide() for _ in range(2000)) / 2000


@pytest.mark.parametrize("seconds, steps", [(1, 1), (2, 1), (3, 2), (8, 4), (12, 6), (600, 300)])
def test_from_none_to_all_in_half_of_the_time(seconds: int, steps: int) -> None:
    clock: Any = Clock()
    decide = Gradual(clock, 100.0, seconds)
    assert share(decide) == 0
    clock.now = 100.999
    assert share(decide) == 0
    for elapsed in {1, steps // 2, steps - 1} - {0}:
        clock.now = 100 + elapsed + 0.5
        # 2000 draws: a standard deviation of at most 0.012.
        assert abs(share(decide) - min(1, elapsed / steps)) < 0.06
    clock.now = 100.0 + steps
    assert share(decide) == 1
    clock.now = 1e6
    assert share(decide) == 1


def test_at_once() -> None:
    assert always()
