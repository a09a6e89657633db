"""A stand-in for an event loop that does not exist yet.

An event loop does not survive a fork, and everything that a configuration builds holds the loop. With workers, all is
built once with this in the loop's place; every process then makes a loop of its own and puts it in here.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast


class LateLoop:
    """Knows the time, and nothing else, until `bind`; then it has the loop's methods as attributes of its own."""

    def __init__(self) -> None:
        self._loop: Any = None
        # The clock of uvloop.
        self.time = time.monotonic

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        for name in dir(loop):
            # uvloop lists some that only its debug build has.
            if not name.startswith("_") and hasattr(loop, name):
                setattr(self, name, getattr(loop, name))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method that somebody keeps before there is a loop."""
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> Any:
            return getattr(self._loop, name)(*arguments, **named)

        return call

    def as_loop(self) -> asyncio.AbstractEventLoop:
        """The same, as those who are given a loop know it."""
        return cast(asyncio.AbstractEventLoop, self)
