"""What is computed from the counts of a histogram: quantiles, sums and buckets, to the digit as Envoy has them.

Source: libcircllhist, whose bins have two significant digits; samples count as evenly spread inside their bin.
"""

import math
from collections.abc import Sequence

Counts = dict[int, int]

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0)
DEFAULT_BUCKETS = (
    0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
    3_600_000,
)  # fmt: skip


def bin_width(lower: int) -> float:
    """The width of the bin that begins at `lower`."""
    if lower <= 0:
        return 0
    return 0.1 if lower < 10 else 10 ** (len(str(lower)) - 2)


def quantiles(counts: Counts, wanted: Sequence[float] = QUANTILES) -> list[float]:
    """One value per wanted quantile (0 to 1, rising); NaN where there are no samples."""
    total = sum(counts.values())
    if not total:
        return [math.nan] * len(wanted)
    bins = iter(sorted(counts.items()))
    lower, count = next(bins)
    below = 0
    found = []
    for quantile in wanted:
        # The sample of this rank, counted from 1.
        rank = max(1, math.ceil(total * quantile))
        while below + count < rank:
            below += count
            lower, count = next(bins)
        found.append(lower + bin_width(lower) * (rank - below) / (count + 1))
    return found


def total(counts: Counts) -> float:
    """The sum of the samples, each taken as the middle of its bin (weighted as the library does)."""
    found = 0.0
    for lower, count in counts.items():
        width = bin_width(lower)
        if width:
            found += (lower + width * lower / (2 * lower + width)) * count
    return found


def cumulative(counts: Counts, bounds: Sequence[float]) -> list[int]:
    """How many samples are at most each bound."""
    bins = sorted(counts.items())
    found = []
    place = below = 0
    for bound in bounds:
        while place < len(bins) and bins[place][0] <= bound:
            below += bins[place][1]
            place += 1
        found.append(below)
    return found


def disjoint(counts: Counts, bounds: Sequence[float]) -> list[int]:
    """How many samples are above the bound before and at most this one."""
    sums = cumulative(counts, bounds)
    return [here - before for before, here in zip([0, *sums], sums, strict=False)]
