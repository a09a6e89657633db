"""Long work on the loop, a slice at a time, so that no connection waits longer than a slice for its turn."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

# Seconds of work between two looks at other connections.
SLICE = 0.001


def slices(items: Iterable[T], seconds: float = SLICE) -> Iterator[list[T]]:
    """The items that could be had within `seconds`, as lists, some of which may be empty.

    `items` is worked off lazily, so it has to give something often: between two of its items nobody else has a turn.
    """
    now = time.perf_counter
    found: list[T] = []
    end = now() + seconds
    for item in items:
        found.append(item)
        if now() >= end:
            yield found
            found = []
            end = now() + seconds
    if found:
        yield found


def work_for(seconds: float, items: Iterator[object]) -> bool:
    """Works off `items` for so much of the thread's own time and no longer; whether that was all of them.

    Its own, because a machine that is busy with something else must not make two of what is small.
    """
    now = time.thread_time
    end = now() + seconds
    return all(now() < end for _ in items)


class Turns:
    """Lets only one of several long works have a slice in each round of the loop."""

    def __init__(self, seconds: float = SLICE) -> None:
        self._seconds = seconds
        self._turn = asyncio.Lock()

    async def slices(self, items: Iterable[T]) -> AsyncIterator[list[T]]:
        """As the function of that name, with everybody else's turn in between."""
        cut = slices(items, self._seconds)
        while True:
            async with self._turn:
                await asyncio.sleep(0)
                found = next(cut, None)
            if found is None:
                return
            yield found
