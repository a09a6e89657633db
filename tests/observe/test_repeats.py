"""Storms of the same message."""

import logging

import pytest

from meshproxy.observe.repeats import BURST, SECONDS, Repeats


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def record(text: str, *values: object, level: int = logging.WARNING, name: str = "main") -> logging.LogRecord:
    return logging.LogRecord(name, level, "file.py", 7, text, values, None, "function")


def texts(repeats: Repeats, everything: bool = False) -> list[str]:
    return [each.getMessage() for each in repeats.pending(everything)]


def test_what_was_held_back_is_told_of_when_its_time_is_over() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    assert sum(repeats.admits(record("no answer from %s", i)) for i in range(100)) == BURST
    assert texts(repeats) == []
    # Others are not meant.
    assert repeats.admits(record("something else"))
    assert repeats.admits(record("no answer from %s", 1, name="http"))
    clock.now += SECONDS
    assert texts(repeats) == ["no answer from 99 (the last of 90 such messages that were not written)"]
    assert texts(repeats) == []
    assert repeats.admits(record("no answer from %s", 1))


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.CRITICAL])
def test_what_is_never_held_back(level: int) -> None:
    repeats = Repeats(Clock())
    assert all(repeats.admits(record("again", level=level)) for _ in range(100))


def test_values_alone_are_messages_of_their_own() -> None:
    repeats = Repeats(Clock())
    assert all(repeats.admits(record("%s", f"problem {i}")) for i in range(100))
    assert sum(repeats.admits(record("%s", "problem")) for _ in range(100)) == BURST


def test_what_is_held_at_the_end() -> None:
    repeats = Repeats(Clock())
    for _ in range(BURST + 1):
        repeats.admits(record("again"))
    assert texts(repeats, everything=True) == ["again (the last of 1 such messages that were not written)"]


def test_memory_is_bounded() -> None:
    clock = Clock()
    repeats = Repeats(clock)
    for i in range(5000):
        clock.now += 0.001
        repeats.admits(record(f"message {i}"))
    assert len(repeats._seen) <= 500
