"""A stand-in for an event loop that does not exist yet.

An event loop does not survive a fork, and everything that a configuration builds holds the loop. With workers, all is
built once with this in the loop's place; every process then makes a loop of its own and puts it in here.
"""

import asyncio
from typing import cast


class LateLoop:
    """Nothing until `bind`; then it has the loop's methods as its own attributes, so that a call takes no detour."""

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        for name in dir(loop):
            # uvloop lists some that only its debug build has.
            if not name.startswith("_") and hasattr(loop, name):
                setattr(self, name, getattr(loop, name))

    def as_loop(self) -> asyncio.AbstractEventLoop:
        """The same, as those who are given a loop know it."""
        return cast(asyncio.AbstractEventLoop, self)
