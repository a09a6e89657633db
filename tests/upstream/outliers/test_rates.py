"""Endpoints that answer worse than the others, or badly."""

from typing import Any

from meshproxy.upstream.outliers.rates import UNKNOWN, Limits, Measured, by_failure_percentage, by_success_rate

LIMITS = Limits(
    rate_hosts=5, rate_volume=100, rate_factor=1900, percentage_hosts=5, percentage_volume=50, percentage=85
)  # fmt: skip


def measured(*rates: float, volume: int = 100) -> list[Measured]:
    nobody: Any = None
    return [Measured(nobody, volume, rate) for rate in rates]


def test_the_example_of_envoys_source() -> None:
    found, outliers = by_success_rate(measured(50, 100, 100, 100, 100), LIMITS)
    assert (found.average, found.threshold) == (90, 52)
    assert [each.rate for each in outliers] == [50]


def test_nothing_is_said_of_few_endpoints_or_few_exchanges() -> None:
    assert by_success_rate(measured(0, 100, 100, 100), LIMITS) == (UNKNOWN, [])
    assert by_success_rate(measured(0, 100, 100, 100, 100, volume=99), LIMITS) == (UNKNOWN, [])
    assert by_failure_percentage(measured(0, 0, 0, 0), LIMITS) == []
    assert by_failure_percentage(measured(0, 0, 0, 0, 0, volume=49), LIMITS) == []


def test_equal_endpoints_are_no_outliers_however_bad() -> None:
    assert by_success_rate(measured(1, 1, 1, 1, 1), LIMITS)[1] == []
    assert len(by_failure_percentage(measured(1, 1, 1, 1, 1), LIMITS)) == 5


def test_the_failure_percentage_itself_is_too_much() -> None:
    assert [each.rate for each in by_failure_percentage(measured(15, 15.1, 100, 100, 100), LIMITS)] == [15]
