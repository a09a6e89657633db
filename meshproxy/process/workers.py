"""The workers as main sees them: started, asked, told, and replaced when they die.

Main keeps a copy of every listening socket, so that what waits in the queue of a dead worker waits for the next one.
What a worker had counted when it was last asked stays counted when it is gone.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

from meshproxy.downstream.connection_balance import boxes
from meshproxy.downstream.drain import InFlight
from meshproxy.net.shared_numbers import SharedNumbers
from meshproxy.net.tasks import start_task
from meshproxy.observe import failures, peers
from meshproxy.observe.failures import Failure
from meshproxy.observe.peers import Peer
from meshproxy.observe.sinks.statsd import Timings
from meshproxy.observe.snapshot import Part, Snapshot
from meshproxy.process import endpoint_counts
from meshproxy.process.channel import Channel, ChannelError, Words
from meshproxy.process.endpoint_counts import Counts
from meshproxy.process.listener_set import Sockets
from meshproxy.process.zygote import spawn

_log = logging.getLogger("main")

# One that dies sooner than this, again and again, is replaced later and later: it would die again. Seconds.
_SHORT_LIFE = 5.0
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
# A worker that hangs must not keep an operator waiting.
_ANSWER_SECONDS = 1.0
# Logs that wait are written at the end, and a disk may be slow.
_STOP_SECONDS = 10.0

# What every new worker has to be told of what was said to the others: words and their arguments.
Said = list[tuple[Any, ...]]


class Worker:
    """One worker, and those that will take its place."""

    __slots__ = (
        "channel", "counts", "failures", "has_served", "number", "peers", "pid", "short_lives", "snapshot", "sockets",
        "started",
    )  # fmt: skip

    def __init__(self, number: int, sockets: Sockets) -> None:
        self.number = number
        self.sockets = sockets
        self.channel: Channel | None = None
        self.pid = 0
        self.started = 0.0
        # Main does not start where its workers do not.
        self.has_served = False
        self.short_lives = 0
        # What it said when it was last asked.
        self.snapshot = Snapshot()
        self.counts: Counts = {}
        self.failures: list[Failure] = []
        self.peers: list[Peer] = []


    def pause(self, now: float) -> float:
        """Seconds to wait before another takes its place, now that it is dead."""
        self.short_lives = self.short_lives + 1 if now - self.started < _SHORT_LIFE else 0
        if self.short_lives < 2:
            return 0.0
        return min(_FIRST_PAUSE * (1 << min(self.short_lives - 2, 10)), _LONGEST_PAUSE)


class Workers:
    """All workers. zygote: see zygote.py. numbers: what they count for limits.

    said: what a new worker has to know. words: what workers may say. failed: called when none can be had.
    """

    def __init__(
        self, zygote: socket.socket, numbers: SharedNumbers, said: Callable[[], Said], words: Words,
        failed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._zygote = zygote
        self._numbers = numbers
        self._said = said
        self._words = words
        self._failed = failed
        self.all: list[Worker] = []
        self._gone = Snapshot()
        self._gone_counts: Counts = {}
        self._gone_failures: list[Failure] = []
        self._gone_peers: list[Peer] = []
        # Through which workers hand connections over to each other. Main keeps them: what is on its way to a worker
        # that dies is for the next.
        self._inboxes: list[socket.socket] = []
        self._outboxes: list[socket.socket] = []
        self._stopping = False
        self._ended = asyncio.Event()

    async def start(self, sets: list[Sockets], balanced: bool) -> None:
        """Returns when all of them serve. balanced: they hand connections over. Raises ChannelError."""
        if balanced:
            self._inboxes, self._outboxes = boxes(len(sets))
        asyncio.get_running_loop().add_reader(self._zygote.fileno(), self._zygote_gone)
        self.all = [Worker(number, sockets) for number, sockets in enumerate(sets)]
        await asyncio.gather(*[self._spawn(worker) for worker in self.all])

    async def stop(self) -> None:
        """Returns when all of them have ended."""
        self._stopping = True
        asyncio.get_running_loop().remove_reader(self._zygote.fileno())
        self.tell("quit")
        if any(worker.channel for worker in self.all):
            try:
                await asyncio.wait_for(self._ended.wait(), _STOP_SECONDS)
            except TimeoutError:
                self._kill()
        self._zygote.close()

    def tell(self, word: str, *arguments: Any) -> None:
        for worker in self.all:
            if worker.channel is not None:
                worker.channel.tell(word, *arguments)
        if word == "reset_counters":
            self._gone, self._gone_counts = Snapshot(), {}

    # ---- what they count ----

    async def take_stats(self) -> None:
        """Brings `stat_parts` up to date."""
        await asyncio.gather(*[self._take_stats(worker) for worker in self.all if worker.channel is not None])

    async def take_endpoints(self) -> Counts:
        for worker, counts in await self._ask_all("endpoints"):
            worker.counts = counts
        return endpoint_counts.merge([self._gone_counts, *[worker.counts for worker in self.all]])

    async def take_failures(self) -> None:
        """Brings `failures` up to date."""
        for worker, rows in await self._ask_all("failures"):
            worker.failures = rows

    async def take_peers(self) -> None:
        """Brings `peers` up to date."""
        for worker, rows in await self._ask_all("peers"):
            worker.peers = rows

    async def take_in_flight(self) -> list[list[InFlight]]:
        """What each worker has, by listener."""
        return [found for _, found in await self._ask_all("in_flight")]

    def failures(self) -> list[Failure]:
        """Those of all workers and of those that are gone, newest last."""
        return failures.merge([self._gone_failures, *[worker.failures for worker in self.all]])

    def peers(self) -> list[list[Peer]]:
        """Those of each worker, and of those that are gone."""
        return [self._gone_peers, *[worker.peers for worker in self.all]]

    def stat_parts(self) -> Iterator[Part]:
        """The stats of the workers and of those that are gone, to be added up."""
        for snapshot in [self._gone, *[worker.snapshot for worker in self.all]]:
            yield from snapshot.parts()

    @staticmethod
    async def _take_stats(worker: Worker) -> None:
        """A few groups at a time. One that dies meanwhile has what it said before."""
        snapshot, channel, first = Snapshot(), worker.channel, 0
        try:
            while channel is not None and (parts := await _answer(channel, "stats", first)):
                first += len(parts)
                for part in parts:
                    snapshot.add(*part)
        except ChannelError:
            return
        if worker.channel is channel:
            worker.snapshot = snapshot

    async def take_timings(self) -> list[Timings]:
        """What the histograms of all workers have kept since the last flush."""
        found: list[Timings] = []
        for worker in self.all:
            first = more = True
            try:
                while more and worker.channel is not None:
                    timings, more = await worker.channel.ask("timings", first)
                    found += timings
                    first = False
            except ChannelError:
                continue
        return found

    async def _ask_all(self, word: str) -> list[tuple[Worker, Any]]:
        """The answers of those that live, and answer."""
        asked = [(worker, _answer(worker.channel, word)) for worker in self.all if worker.channel is not None]
        answers = await asyncio.gather(*[answer for _, answer in asked], return_exceptions=True)
        found = zip((worker for worker, _ in asked), answers, strict=True)
        return [(worker, answer) for worker, answer in found if not isinstance(answer, BaseException)]

    # ---- lives and deaths ----

    async def _spawn(self, worker: Worker) -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        sockets = [sock.fileno() for listening in worker.sockets for sock in listening if sock.fileno() >= 0]
        hands = [self._inboxes[worker.number], *self._outboxes] if self._inboxes else []
        counts = [sum(sock.fileno() >= 0 for sock in listening) for listening in worker.sockets]
        with theirs:
            spawn(self._zygote, worker.number, [theirs.fileno(), *sockets, *[box.fileno() for box in hands]])
        channel = Channel(self._words, lambda: self._lost(worker))
        await loop.create_unix_connection(lambda: channel, sock=ours)
        worker.channel = channel
        worker.started = loop.time()
        for word, *arguments in self._said():
            channel.tell(word, *arguments)
        try:
            worker.pid = await channel.ask("start", counts)
        except ChannelError:
            channel.close()
            raise
        worker.has_served = True
        _log.debug("worker %d is process %d", worker.number, worker.pid)

    def _lost(self, worker: Worker) -> None:
        """Its end of the channel is closed."""
        worker.channel = None
        self._numbers.clear(worker.number)
        self._keep_counts(worker)
        if self._stopping:
            if not any(each.channel for each in self.all):
                self._ended.set()
        elif worker.has_served:
            pause = worker.pause(asyncio.get_running_loop().time())
            when = f" in {pause:g} seconds" if pause else ""
            _log.error("worker %d (process %d) died; another takes its place%s", worker.number, worker.pid, when)
            start_task(self._replace(worker, pause), f"replace worker {worker.number}")

    async def _replace(self, worker: Worker, pause: float) -> None:
        while not self._stopping:
            await asyncio.sleep(pause)
            pause = _FIRST_PAUSE
            try:
                await self._spawn(worker)
                return
            except ChannelError as error:
                # Its channel is closed: `_lost` comes again.
                _log.error("worker %d does not start: %s", worker.number, error)
                return
            except ConnectionError:
                self._give_up(worker)
                return
            except OSError as error:
                _log.error("worker %d cannot be started now: %s", worker.number, error.strerror)

    def _zygote_gone(self) -> None:
        asyncio.get_running_loop().remove_reader(self._zygote.fileno())
        _log.critical("the process that forks workers is gone: a worker that dies is not replaced any more")

    def _give_up(self, worker: Worker) -> None:
        """Its sockets close, or the kernel would go on to give them a share of the connections."""
        _log.critical("worker %d cannot be replaced: the process that forks workers is gone", worker.number)
        for sock in (sock for listening in worker.sockets for sock in listening):
            sock.close()
        if not any(each.channel for each in self.all):
            self._failed()

    def _kill(self) -> None:
        """Those that do not end by themselves."""
        for worker in self.all:
            if worker.channel is not None and worker.pid:
                _log.error("worker %d did not end within %d seconds: it is killed", worker.number, _STOP_SECONDS)
                os.kill(worker.pid, signal.SIGKILL)

    def _keep_counts(self, worker: Worker) -> None:
        """Its counters and histograms stay in the sum; gauges were about what has gone with it."""
        for part in worker.snapshot.without_gauges():
            self._gone.add(*part)
        worker.snapshot = Snapshot()
        counts = endpoint_counts.without_gauges(worker.counts)
        self._gone_counts = endpoint_counts.merge([self._gone_counts, counts])
        worker.counts = {}
        self._gone_failures = failures.merge([self._gone_failures, worker.failures])
        worker.failures = []
        self._gone_peers = peers.merge([self._gone_peers, peers.without_connections(worker.peers)])
        worker.peers = []


async def _answer(channel: Channel, word: str, *arguments: Any) -> Any:
    """Raises ChannelError where none comes."""
    try:
        return await asyncio.wait_for(channel.ask(word, *arguments), _ANSWER_SECONDS)
    except TimeoutError:
        raise ChannelError("the other process does not answer") from None
