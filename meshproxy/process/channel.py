"""What main and a worker say to each other, over a socket pair.

Either side asks the other for something by a word, with arguments, and may wait for the answer. A message is four bytes
of length and a pickle of (number, word, arguments); an answer has the number of its question and no word. Both ends are
forks of one program, and nobody else can reach the socket: that is why pickles will do.
"""

import asyncio
import inspect
import pickle
import struct
from collections.abc import Callable
from typing import Any

from meshproxy.net.tasks import start_task

_LENGTH = struct.Struct("!I")

# What one side does for the other, by word.
Words = dict[str, Callable[..., Any]]


class ChannelError(ConnectionError):
    """The other side is gone, or failed to do what it was asked; the text says why."""


class Channel(asyncio.Protocol):
    """One end. `words`: what it does when asked. `lost`: called once when the other end is gone."""

    def __init__(self, words: Words, lost: Callable[[], None]) -> None:
        self._words = words
        self._lost = lost
        self._transport: Any = None
        self._received = bytearray()
        self._asked = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    @property
    def open(self) -> bool:
        return self._transport is not None

    def tell(self, word: str, *arguments: Any) -> None:
        """Asks for something and does not wait for it; nothing happens where the other side is gone."""
        self._send((0, word, arguments))

    def ask(self, word: str, *arguments: Any) -> "asyncio.Future[Any]":
        """The answer. Raises ChannelError."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            answer.set_exception(ChannelError("the other process is gone"))
            return answer
        self._asked += 1
        self._waiting[self._asked] = answer
        self._send((self._asked, word, arguments))
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # ---- from the transport ----

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ChannelError("the other process ended"))
        self._waiting.clear()
        self._lost()

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        while len(received) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(received)
            end = _LENGTH.size + size
            if len(received) < end:
                return
            message = pickle.loads(received[_LENGTH.size : end])
            del received[:end]
            self._take(*message)

    # ---- messages ----

    def _send(self, message: tuple[int, str, Any]) -> None:
        if self._transport is not None:
            data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
            self._transport.write(_LENGTH.pack(len(data)) + data)

    def _take(self, number: int, word: str, content: Any) -> None:
        if word:
            start_task(self._do(number, word, content), f"{word}, as another process asked")
            return
        answer = self._waiting.pop(number, None)
        if answer is None or answer.done():
            return
        failure, value = content
        if failure:
            answer.set_exception(ChannelError(failure))
        else:
            answer.set_result(value)

    async def _do(self, number: int, word: str, arguments: tuple[Any, ...]) -> None:
        try:
            value = self._words[word](*arguments)
            if inspect.isawaitable(value):
                value = await value
        except Exception as error:
            if not number:
                raise
            self._send((number, "", (str(error) or type(error).__name__, None)))
            return
        if number:
            self._send((number, "", ("", value)))
