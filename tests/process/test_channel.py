import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop

from meshproxy.process.channel import Channel, ChannelError, Words

Talk = Callable[[Channel, Channel], Awaitable[Any]]


def talk(dialogue: Talk, words: Words, lost: Callable[[], None] = lambda: None) -> None:
    """Runs a dialogue between two ends, of which the second knows `words`."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        ends = Channel({}, lost), Channel(words, lambda: None)
        for end, sock in zip(ends, (left, right), strict=True):
            await loop.create_unix_connection(lambda end=end: end, sock=sock)  # type: ignore[misc]
        await dialogue(*ends)
        for end in ends:
            end.close()
        await asyncio.sleep(0.01)

    uvloop.new_event_loop().run_until_complete(run())


def test_answers_come_to_their_questions() -> None:
    async def slowly(value: int) -> int:
        await asyncio.sleep(0.01)
        return value

    async def dialogue(main: Channel, _worker: Channel) -> None:
        questions = main.ask("slowly", 1), main.ask("add", 2, 3), main.ask("add", "a", "b")
        assert await asyncio.gather(*questions) == [1, 5, "ab"]

    talk(dialogue, {"slowly": slowly, "add": lambda a, b: a + b})


def test_what_is_told_is_done_in_order() -> None:
    heard: list[int] = []

    async def dialogue(main: Channel, _worker: Channel) -> None:
        for number in range(100):
            main.tell("hear", number)
        assert await main.ask("hear", 100) is None
        assert heard == list(range(101))

    talk(dialogue, {"hear": heard.append})


def test_large_messages_arrive_whole() -> None:
    async def dialogue(main: Channel, _worker: Channel) -> None:
        assert await main.ask("double", b"x" * 3_000_000) == b"x" * 6_000_000

    talk(dialogue, {"double": lambda data: data * 2})


def test_a_failure_is_the_answer() -> None:
    def fail() -> None:
        raise OSError("cannot bind")

    async def dialogue(main: Channel, _worker: Channel) -> None:
        with pytest.raises(ChannelError, match="cannot bind"):
            await main.ask("fail")
        with pytest.raises(ChannelError, match="unheard"):
            await main.ask("unheard")

    talk(dialogue, {"fail": fail})


def test_who_waits_hears_of_the_end() -> None:
    ends: list[bool] = []

    async def dialogue(main: Channel, worker: Channel) -> None:
        question = main.ask("wait")
        await asyncio.sleep(0.01)
        worker.close()
        with pytest.raises(ChannelError):
            await question
        assert ends == [True]
        assert not main.open
        main.tell("wait")
        with pytest.raises(ChannelError):
            await main.ask("wait")

    talk(dialogue, {"wait": lambda: asyncio.sleep(60)}, lambda: ends.append(True))
