"""A direction of a stream that waits for a filter."""

import asyncio
import inspect
from collections.abc import Awaitable, Coroutine
from typing import Any

from meshproxy.http.headers import Headers
from meshproxy.net.tasks import start_task


class Hold:
    """What came while a direction waits for a filter."""

    __slots__ = ("chunks", "ended", "full", "limit", "size", "task", "trailers", "waiter")

    def __init__(self, limit: int) -> None:
        self.chunks: list[bytes] = []
        self.size = 0
        self.limit = limit
        self.ended = False
        self.full = False
        self.trailers: Headers | None = None
        self.waiter: Any = None
        self.task: asyncio.Task[Any] | None = None

    def drop(self) -> None:
        """Nobody wants the outcome any more: the filter that waits is cancelled (unless it is what runs now)."""
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def wait(self, work: Coroutine[Any, Any, None], outcome: Awaitable[Any], what: str) -> None:
        """Starts `work`, which awaits what a filter gave. Where that is dropped in the same turn, neither ever runs."""
        self.task = start_task(work, what)
        if inspect.iscoroutine(outcome):
            self.task.add_done_callback(lambda _: outcome.close())
