"""Expectations were taken from Envoy 1.40, which showed them for the same samples."""

import math

import pytest

from meshproxy.observe.quantiles import DEFAULT_BUCKETS, bin_width, cumulative, disjoint, quantiles, total


@pytest.mark.parametrize(
    "counts, expected",
    [
        ({0: 2, 1: 1}, [0, 0, 0, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05, 1.05]),
        ({0: 3, 1: 1, 2: 1}, [0, 0, 0, 1.05, 2.05, 2.05, 2.05, 2.05, 2.05, 2.05]),
        ({12: 1}, [12.5] * 10),
        (
            {1: 5},
            [1.0166666666666666, 1.0333333333333334, 1.05, 1.0666666666666667, *[1.0833333333333333] * 6],
        ),
    ],
)
def test_quantiles(counts: dict[int, int], expected: list[float]) -> None:
    assert quantiles(counts) == pytest.approx(expected, rel=1e-15)


def test_no_samples() -> None:
    assert all(math.isnan(value) for value in quantiles({}))


@pytest.mark.parametrize(
    "counts, text",
    [({0: 2, 1: 1}, "1.0476190476190476719153821250075"), ({12: 1}, "12.48000000000000042632564145606"), ({}, "0")],
)
def test_total(counts: dict[int, int], text: str) -> None:
    assert f"{total(counts):.32g}" == text


def test_buckets() -> None:
    counts = {0: 3, 1: 1, 2: 1, 3_600_000: 1, 3_700_000: 1}
    assert cumulative(counts, DEFAULT_BUCKETS)[:4] == [3, 4, 5, 5]
    assert cumulative(counts, DEFAULT_BUCKETS)[-1] == 6
    assert disjoint(counts, DEFAULT_BUCKETS)[:4] == [3, 1, 1, 0]


def test_bin_widths() -> None:
    assert [bin_width(lower) for lower in (0, 1, 9, 10, 99, 100, 1200)] == [0, 0.1, 0.1, 1, 1, 10, 100]
