"""Whether a response is to tell its client that the connection ends: Envoy's drain decision."""

import asyncio
from collections.abc import Callable
from random import randrange
from typing import NamedTuple

# Asked once per response while a listener drains; there is none otherwise.
DrainClose = Callable[[], bool]


class ServerHealth:
    """Whether the process passes the health checks of others; an operator says so (/healthcheck/fail, /ok)."""

    __slots__ = ("failed",)

    def __init__(self) -> None:
        self.failed = False


class InFlight(NamedTuple):
    """What a listener still has."""

    connections: int
    requests: int


def always() -> bool:
    """--drain-strategy immediate, and failed health checks."""
    return True


class Gradual:
    """--drain-strategy gradual: so that not all clients come back at once.

    Envoy 1.40 decides by whole seconds, and is at 100 % after half of the drain time; so is this.
    """

    __slots__ = ("_loop", "_since", "_window")

    def __init__(self, loop: asyncio.AbstractEventLoop, since: float, seconds: int) -> None:
        """since: loop time at which the drain began. seconds: --drain-time-s."""
        self._loop = loop
        self._since = since
        self._window = (seconds + 1) // 2

    def __call__(self) -> bool:
        elapsed = int(self._loop.time() - self._since)
        return elapsed >= self._window or elapsed > randrange(self._window)
