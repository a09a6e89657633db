"""What operators asked of the listeners: to drain, to stop listening, to fail health checks, to end with the process.

Main decides and tells the workers; each process does it to its own listeners (`Drains`). How far it has come is asked
of all of them (`status`), and shown at /drain_status.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from meshproxy.admin.server_view import DrainStatus, ListenerStatus
from meshproxy.downstream.drain import DrainClose, Gradual, InFlight, ServerHealth, always
from meshproxy.downstream.listener import Listener
from meshproxy.process.listener_set import ListenerSet


class Drains:
    """seconds: --drain-time-s. gradual: --drain-strategy. health: what filters look at. tell: passes a word on to the
    workers."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listeners: ListenerSet, seconds: int, gradual: bool,
        health: ServerHealth, tell: Callable[..., None],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._listeners = listeners
        self._seconds = seconds
        self._gradual = gradual and seconds > 0
        self._tell = tell
        self._health = health
        # For inbound listeners only, and since when; what new workers have to hear.
        self._asked: list[tuple[bool, float]] = []
        self._silent: set[Listener] = set()
        # Loop time at which the listeners stop, or the process ends.
        self._deadline: float | None = None
        # The process ends with the drain.
        self.leaving = False

    @property
    def failed(self) -> bool:
        """/healthcheck/fail"""
        return self._health.failed

    # ---- what operators say ----

    def fail_health_checks(self, fail: bool) -> None:
        self._health.failed = fail
        for listener in self._listeners.all:
            listener.set_health_failed(fail)
        self._tell("fail_health_checks", fail)

    def drain_listeners(self, graceful: bool, skip_exit: bool, inbound_only: bool) -> None:
        """Clients are asked to go; the listeners stop now, after the drain time, or (skip_exit) not at all."""
        now = self._loop.time()
        self.drain(inbound_only, now)
        if skip_exit:
            return
        if graceful:
            self._deadline = now + self._seconds
            self._loop.call_later(self._seconds, self.stop_listening, inbound_only)
        else:
            self.stop_listening(inbound_only)

    async def leave(self, look: Callable[[], Awaitable[list[InFlight]]], pause: float) -> None:
        """Returns when the last connection has ended, or the drain time is over. look: see `in_flight`."""
        self._deadline = self._loop.time() + self._seconds
        self.end()
        while (left := self._deadline - self._loop.time()) > 0:
            if not any(each.connections for each in await look()):
                if len(self._silent) == len(self._listeners.all):
                    return
                # What waits to be accepted is accepted now: it has to be waited for as well.
                self.stop_listening(False)
            await asyncio.sleep(min(left, pause))

    # ---- what each process does ----

    def drain(self, inbound_only: bool, since: float) -> None:
        """since: loop time, which is the same in all processes."""
        self._asked.append((inbound_only, since))
        decide: DrainClose = Gradual(self._loop, since, self._seconds) if self._gradual else always
        for listener in self._chosen(inbound_only):
            listener.drain(decide)
        self._tell("drain", inbound_only, since)

    def end(self) -> None:
        """The process ends with this drain: every response says so."""
        self.leaving = True
        for listener in self._listeners.all:
            listener.drain(always)
        self._tell("leave")

    def stop_listening(self, inbound_only: bool) -> None:
        stopping = [listener for listener in self._chosen(inbound_only) if listener not in self._silent]
        self._silent.update(stopping)
        self._listeners.close(stopping)
        self._tell("stop_listening", inbound_only)

    def said(self) -> list[tuple[Any, ...]]:
        """What a new worker has to know."""
        failed = [("fail_health_checks", True)] if self.failed else []
        leaving = [("leave",)] if self.leaving else []
        return [*failed, *[("drain", *asked) for asked in self._asked], *leaving]

    def in_flight(self) -> list[InFlight]:
        """What this process has, by listener."""
        return [listener.in_flight() for listener in self._listeners.all]

    # ---- how far it has come ----

    def status(self, in_flight: Sequence[InFlight]) -> DrainStatus:
        """in_flight: of all processes together."""
        pairs = zip(self._listeners.all, in_flight, strict=True)
        listeners = [
            ListenerStatus(listener.name, listener not in self._silent, listener.draining, *found)
            for listener, found in pairs
        ]
        left = None if self._deadline is None else max(0.0, self._deadline - self._loop.time())
        return DrainStatus(self.leaving, left, listeners)

    def _chosen(self, inbound_only: bool) -> list[Listener]:
        return [each for each in self._listeners.all if not inbound_only or each.traffic_direction == "INBOUND"]


def add_up(by_process: Sequence[Sequence[InFlight]]) -> list[InFlight]:
    """Of all processes, listener by listener."""
    return [
        InFlight(sum(each.connections for each in found), sum(each.requests for each in found))
        for found in zip(*by_process, strict=True)
    ]
