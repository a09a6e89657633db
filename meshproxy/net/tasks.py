"""The only place that starts tasks: every task is held until it ends, and its failure is always reported."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("main")
_running: set[asyncio.Task[Any]] = set()


def start_task(work: Coroutine[Any, Any, Any], what: str) -> asyncio.Task[Any]:
    """Runs `work` on the current loop. `what` names it in the log should it fail."""
    task = asyncio.get_running_loop().create_task(work, name=what)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def running() -> int:
    """How many tasks are alive: leak tests compare it before and after."""
    return len(_running)


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and task.exception() is not None:
        _log.error("%s failed", task.get_name(), exc_info=task.exception())
