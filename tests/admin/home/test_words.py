"""Numbers as people read them."""

import math
from collections.abc import Callable

import pytest

from meshproxy.admin.home.words import count_text, many, milliseconds_text, rate_text, share_text, span_text


@pytest.mark.parametrize(
    "text, values",
    [
        (rate_text, {0.0: "0", 0.001: "<0.01", 0.034: "0.03", 3.21: "3.2", 410.4: "410", 12_400.0: "12.4k"}),
        (share_text, {0.0: "0 %", 0.00001: "<0.01 %", 0.0004: "0.04 %", 0.031: "3.1 %", 1.0: "100 %"}),
        (milliseconds_text, {0.2: "<1 ms", 3.44: "3.4 ms", 120.3: "120 ms", 2500.0: "2.5 s"}),
        (count_text, {7: "7", 12345: "12,345", 1_234_567: "1.2M"}),
        (span_text, {0.4: "0 s", 119: "119 s", 240: "4 min", 7500: "2 h 5 min", 273_600: "3 d 4 h", -3: "0 s"}),
    ],
)
def test_texts(text: Callable[[float], str], values: dict[float, str]) -> None:
    assert {value: text(value) for value in values} == values


def test_nothing_timed() -> None:
    assert milliseconds_text(math.nan) == "–"


def test_many() -> None:
    assert [many(1, "endpoint"), many(2, "endpoint"), many(0, "entry", "entries")] == [
        "1 endpoint", "2 endpoints", "0 entries",
    ]  # fmt: skip
