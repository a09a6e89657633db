"""A filter's wait that is given up."""

import asyncio
import gc
import warnings
from collections.abc import Awaitable

from meshproxy.http.hold import Hold


def test_a_wait_that_is_dropped_in_the_turn_in_which_it_began() -> None:
    """Nothing warns that a filter's coroutine never ran."""
    ran: list[str] = []

    async def outcome() -> None:
        ran.append("filter")

    async def work(outcome: Awaitable[None]) -> None:
        await outcome

    async def scene() -> None:
        hold = Hold(0)
        given = outcome()
        hold.wait(work(given), given, "filter a")
        hold.drop()
        del given
        assert hold.task is not None
        await asyncio.wait([hold.task])
        await asyncio.sleep(0)
        gc.collect()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(scene())
    assert not ran
    assert not caught
