"""The timeouts of a table's routes: one queue per duration, whatever the number of routes and streams."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from meshproxy.net.timeouts import TimeoutQueue

T = TypeVar("T")


class Deadlines:
    """Hands out the queues; `queue(seconds, expired)` is the same for the same two."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queues: dict[tuple[float, Callable[[Any], float]], TimeoutQueue[Any]] = {}

    def queue(self, seconds: float, expired: Callable[[T], float]) -> TimeoutQueue[T]:
        """For durations from the configuration; `expired` as TimeoutQueue wants it."""
        key = (seconds, expired)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = TimeoutQueue(self._loop, seconds, expired)
        return queue
