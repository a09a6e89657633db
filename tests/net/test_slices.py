"""Work in slices."""

import asyncio
from collections.abc import Iterator
from itertools import chain

from meshproxy.net.slices import Turns, slices


def test_nothing_is_lost_or_moved() -> None:
    assert list(chain(*slices(range(10_000)))) == list(range(10_000))
    assert list(slices([])) == []


def test_a_slice_ends_when_its_time_is_up() -> None:
    assert list(slices(range(4), seconds=0)) == [[0], [1], [2], [3]]
    assert list(slices(range(4), seconds=60)) == [[0, 1, 2, 3]]


def test_items_are_made_when_their_slice_comes() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(3):
            made.append(i)
            yield i

    cut = slices(items(), seconds=0)
    assert made == []
    assert next(cut) == [0]
    assert made == [0]


def test_others_have_turns_in_between_and_two_works_share_them() -> None:
    order: list[str] = []

    async def work(turns: Turns, name: str) -> None:
        async for _ in turns.slices(range(3)):
            order.append(name)

    async def other() -> None:
        while order.count("a") + order.count("b") < 6:
            order.append("other")
            await asyncio.sleep(0)

    async def together() -> None:
        turns = Turns(seconds=0)
        await asyncio.gather(work(turns, "a"), work(turns, "b"), other())

    asyncio.run(together())
    assert [name for name in order if name != "other"] == ["a", "b"] * 3
    # Nobody had two slices without the others' turn.
    assert "a b" not in " ".join(order)
