"""Endpoints that answer worse than the others, or badly: by success rate and by failure percentage."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from meshproxy.upstream.outliers.monitor import OutlierMonitor


class Rates(NamedTuple):
    """Percent: the average success rate of a cluster's endpoints, and below which one is an outlier. -1: not known."""

    average: float
    threshold: float


UNKNOWN = Rates(-1.0, -1.0)


class Limits(NamedTuple):
    """How many endpoints have to have how many exchanges before anything is said of them; and what is too bad.

    LIMITS has the settings that they come from.
    """

    rate_hosts: int
    rate_volume: int
    rate_factor: int
    percentage_hosts: int
    percentage_volume: int
    percentage: int


LIMITS = (
    "success_rate_minimum_hosts", "success_rate_request_volume", "success_rate_stdev_factor",
    "failure_percentage_minimum_hosts", "failure_percentage_request_volume", "failure_percentage_threshold",
)  # fmt: skip


class Measured(NamedTuple):
    """An endpoint with the exchanges of one interval, and the percentage of them that went well."""

    monitor: OutlierMonitor
    volume: int
    rate: float


def by_success_rate(measured: Sequence[Measured], limits: Limits) -> tuple[Rates, list[Measured]]:
    """Those that are further below the average than so many standard deviations."""
    enough = [each for each in measured if each.volume >= limits.rate_volume]
    if not enough or len(enough) < limits.rate_hosts:
        return UNKNOWN, []
    average = sum([each.rate for each in enough]) / len(enough)
    deviation = sqrt(sum([(each.rate - average) ** 2 for each in enough]) / len(enough))
    threshold = average - limits.rate_factor / 1000 * deviation
    return Rates(average, threshold), [each for each in enough if each.rate < threshold]


def by_failure_percentage(measured: Sequence[Measured], limits: Limits) -> list[Measured]:
    enough = [each for each in measured if each.volume >= limits.percentage_volume]
    if not enough or len(enough) < limits.percentage_hosts:
        return []
    return [each for each in enough if 100.0 - each.rate >= limits.percentage]
