"""A worker: a fork of the zygote that serves the listeners and does what main says."""

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, NoReturn

import uvloop

from meshproxy.downstream.connection_balance import HandOver
from meshproxy.net.randomness import sow
from meshproxy.observe.sinks.flush import take_timings
from meshproxy.observe.sinks.statsd import Timings
from meshproxy.observe.snapshot import Part, take_group
from meshproxy.observe.stats import Entry, Registry
from meshproxy.process import endpoint_counts
from meshproxy.process.channel import Channel, Words
from meshproxy.process.late_loop import LateLoop
from meshproxy.process.server import Server

# How many groups of stats are sent at once: some 1 ms of work.
_GROUPS = 50


def serve_as_worker(server: Server, late: LateLoop, number: int, descriptors: list[int]) -> NoReturn:
    """The whole life of a worker. `descriptors`: the channel to main, then the listening sockets."""
    loop = uvloop.new_event_loop()
    late.bind(loop)
    assert server.numbers is not None, "it was shared before the fork"
    server.numbers.join(number)
    sow(number)
    _renumber(server.ctx.stats, number)
    control, *listening = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    loop.run_until_complete(Worker(server, listening).run(control))
    logging.shutdown()
    os._exit(0)


class Worker:
    """What main can ask a worker for is in `words`."""

    def __init__(self, server: Server, listening: list[socket.socket]) -> None:
        self._server = server
        self._listening = listening
        self._over = asyncio.Event()
        # Of which main has asked for stats, until it begins again.
        self._groups: list[Entry] = []
        self._timings_left: Iterator[list[Timings]] = iter(())

    @property
    def words(self) -> Words:
        server = self._server
        return {
            "start": self._start,
            "quit": self._over.set,
            "stats": self._stats,
            "timings": self._timings,
            "endpoints": lambda: endpoint_counts.take(server.ctx.clusters),
            "failures": server.ctx.failures.newest,
            "peers": server.ctx.peers.rows,
            "reset_counters": server.reset_counters,
            "reopen_logs": server.reopen_logs,
            "fail_health_checks": server.drains.fail_health_checks,
            "drain": server.drains.drain,
            "host_states": partial(server.ctx.host_states.learn, server.ctx.clusters),
            "overload": server.ctx.overload.put,
            "leave": server.drains.end,
            "stop_listening": server.drains.stop_listening,
            "in_flight": server.drains.in_flight,
            "set_runtime": server.ctx.runtime.set_layers,
            "set_log_level": server.process_log.set_level,
            "set_log_levels": server.process_log.set_levels,
        }

    async def run(self, control: socket.socket) -> None:
        """Until main says so, or is gone."""
        channel = Channel(self.words, self._over.set)
        self._server.ctx.host_states.to_main = partial(channel.tell, "host_report")
        await asyncio.get_running_loop().create_unix_connection(lambda: channel, sock=control)
        await self._over.wait()
        await self._server.stop()

    async def _start(self, counts: list[int]) -> int:
        """Serves; the number of this process. counts: how many sockets each listener has."""
        sockets = iter(self._listening)
        handed = [[next(sockets) for _ in range(count)] for count in counts]
        if rest := list(sockets):
            self._balance(rest[0], rest[1:])
        self._server.watch()
        await self._server.warm()
        await self._server.listener_set.adopt(handed)
        numbers = self._server.numbers
        assert numbers is not None, "it was shared before the fork"
        numbers.serve()
        self._server.live()
        return os.getpid()

    def _balance(self, inbox: socket.socket, outboxes: list[socket.socket]) -> None:
        listeners = self._server.listeners
        hands = HandOver(self._server.loop, inbox, outboxes, [listener.receive for listener in listeners])
        for number, listener in enumerate(listeners):
            if listener.balance is not None:
                listener.balance.give = partial(hands.give, number)

    def _stats(self, first: int) -> list[Part]:
        """The stats of this process from the group with this number on, as many as cost a moment."""
        if not first:
            self._groups = self._server.ctx.stats.entries()
        return [take_group(each) for each in self._groups[first : first + _GROUPS]]

    def _timings(self, first: bool) -> tuple[list[Timings], bool]:
        """Some of the timings since the last flush, and whether there may be more."""
        if first:
            self._timings_left = take_timings(self._server.ctx.stats)
        rows = list(islice(self._timings_left, _GROUPS))
        return [timing for found in rows for timing in found], len(rows) == _GROUPS


def _renumber(stats: Registry, number: int) -> None:
    """Stats are named after the worker, whose number nobody knew when they were made; some are main's alone."""
    groups: list[tuple[str, Any]] = [pair for pair in stats.groups() if ".worker_0" in pair[0]]
    for prefix, group in [pair for pair in stats.groups() if pair[0] == "runtime"]:
        stats.remove(prefix, group)
    for prefix, group in groups:
        stats.remove(prefix, group)
        stats.add(prefix.replace(".worker_0", f".worker_{number}"), group)
