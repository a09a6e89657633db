"""How late the loop is."""

import asyncio
import time

from meshproxy.observe.loop_lag import PERIOD, LoopLag
from meshproxy.observe.server_stats import DispatcherStats


def test_what_holds_the_loop_is_seen() -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        one, other = DispatcherStats(), DispatcherStats()
        lag = LoopLag([one, other])
        lag.start(loop)
        while not one.loop_lag_us.counts:
            await asyncio.sleep(PERIOD / 10)
        # Somebody has the loop for six periods: the timer was due after one of them.
        time.sleep(PERIOD * 6)
        before = sum(one.loop_lag_us.counts.values())
        while sum(one.loop_lag_us.counts.values()) == before:
            await asyncio.sleep(0)
        lag.close()
        assert max(one.loop_lag_us.counts) >= PERIOD * 4 * 1_000_000
        assert one.loop_lag_us.counts == other.loop_lag_us.counts
        count = sum(one.loop_lag_us.counts.values())
        await asyncio.sleep(PERIOD * 2)
        assert sum(one.loop_lag_us.counts.values()) == count

    asyncio.run(test())
