"""Scripted servers on real sockets, and what they saw."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .h2_upstream import H2Connection
from .scenario import ScenarioError, Step, UpstreamScript, wire_text
from .tls import TlsWire, make_context
from .wire import Message, Wire, read_head, read_request, shown

READING = frozenset({"reply", "request", "head", "read", "read_all", "echo", "hang"})
Flags = dict[str, asyncio.Event]
Fill = Callable[[str], str]  # puts ports and ids in the places of a text


def flag(flags: Flags, name: str) -> asyncio.Event:
    """The event that scripts of one run `signal` and `wait_for`."""
    return flags.setdefault(name, asyncio.Event())


def open_socket(script: UpstreamScript, path: Path) -> socket.socket:
    """A socket that listens; for `refuse` it only holds its port, for `blackhole` its queue is kept full."""
    if script.listen == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
    else:
        sock = socket.socket(socket.AF_INET6 if ":" in script.address else socket.AF_INET)
        sock.bind((script.address, 0))
    if script.listen != "refuse":
        sock.listen(0 if script.listen == "blackhole" else 64)
    sock.setblocking(False)
    return sock


def fill_queue(sock: socket.socket) -> list[socket.socket]:
    """Connections that nobody accepts; while they are open further ones to `sock` hang."""
    fillers = [socket.socket() for _ in range(4)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(sock.getsockname())
    return fillers


class Connection:
    """One accepted connection: runs its steps, writes down what arrives and how it ends."""

    def __init__(self, wire: Wire, steps: tuple[Step, ...], upstream: "Upstream") -> None:
        self.wire, self.steps, self.upstream = wire, steps, upstream
        self.seen: list[Message | dict[str, str]] = []
        self.unanswered: Message | None = None  # a request that was read but not yet replied to

    async def run(self) -> None:
        """The steps, again and again where the first one reads; then whatever still comes."""
        more = bool(self.steps)
        while more:
            for step in self.steps:
                if self._may(step):
                    await self._do(step)
            more = self.steps[0].verb in READING and not self.wire.over
        if not self.wire.closed_here:
            self._saw("bytes", await self.wire.take_all())
            self.wire.half_close()  # the peer has ended, so do we

    def _may(self, step: Step) -> bool:
        """Nothing happens on a closed socket, and nothing is read from one whose peer has ended."""
        if self.wire.closed_here:
            return False
        return self.wire.ended is None or step.verb not in READING or self.unanswered is not None

    def failures(self) -> list[BaseException]:
        """What failed beside the task that ran the script."""
        return []

    def outcome(self) -> list[Any]:
        """What was seen, once the task that ran the script is over."""
        self.wire.poll()
        if self.wire.buffer:
            self._saw("bytes", bytes(self.wire.buffer))
        fate = "closed here" if self.wire.closed_here else self.wire.ended or "open"
        seen = [entry.seen() if isinstance(entry, Message) else _shortened(entry) for entry in self.seen]
        return [*seen, {"fate": fate}]

    async def _do(self, step: Step) -> None:
        match step.verb:
            case "reply":
                if not self.unanswered and not await self._request():
                    return
                await self._reply(step.value)
                self.unanswered = None
            case "request":
                await self._request()
            case "head":
                await self._head()
            case "send":
                await self.wire.send(self._bytes(step.value))
                self.unanswered = None
            case "read":
                self._saw("bytes", await self.wire.take(int(step.value)))
            case "read_all" | "hang":
                self._saw("bytes", await self.wire.take_all())
            case "echo":
                await self._echo()
            case "half_close":
                self.wire.half_close()
            case "close":
                self.wire.close()
            case "reset":
                self.wire.reset()
            case "idle":
                await asyncio.sleep(step.value)
            case "signal":
                flag(self.upstream.flags, step.value).set()
            case "wait_for":
                await flag(self.upstream.flags, step.value).wait()
            case verb:
                raise ScenarioError(f"an upstream cannot {verb}")

    async def _request(self) -> bool:
        await _first_byte(self.wire)
        if self.wire.ended and not self.wire.buffer:
            return False
        message = Message()
        self.seen.append(message)
        await read_request(self.wire, message)
        if message.cut:
            return False
        self.unanswered = message
        self.upstream.requests += 1
        return True

    async def _head(self) -> None:
        message = Message()
        self.seen.append(message)
        if await read_head(self.wire, message):
            self.unanswered = message
            self.upstream.requests += 1

    async def _reply(self, value: Any) -> None:
        """A status (the body is the upstream's name), or a whole message as text."""
        if isinstance(value, int):
            body = "" if value in (204, 304) else self.upstream.name
            length = "" if value == 204 else f"content-length: {len(body)}\n"
            head_only = self.unanswered is not None and self.unanswered.start.startswith("HEAD ")
            value = f"HTTP/1.1 {value} Reply\n{length}\n" + ("" if head_only else body)
        await self.wire.send(self._bytes(wire_text(value)))

    async def _echo(self) -> None:
        while await self.wire.fill():
            data = bytes(self.wire.buffer)
            self.wire.buffer.clear()
            self._saw("bytes", data)
            await self.wire.send(data)

    def _bytes(self, value: Any) -> bytes:
        return self.upstream.fill("".join(value) if isinstance(value, list) else str(value)).encode("latin-1")

    def _saw(self, what: str, data: bytes) -> None:
        """Bytes that come in several pieces are one observation."""
        if not data:
            return
        if self.seen and isinstance(self.seen[-1], dict):
            self.seen[-1][what] += data.decode("latin-1")
        else:
            self.seen.append({what: data.decode("latin-1")})


async def _first_byte(wire: Wire) -> None:
    """Wait for a request to begin, however long the connection idles in a pool."""
    while not wire.buffer and await wire.fill():
        pass


class Upstream:
    """One scripted server: accepts until the run is over."""

    def __init__(self, name: str, script: UpstreamScript, sock: socket.socket, flags: Flags, fill: Fill) -> None:
        self.name, self.script, self.sock, self.flags, self.fill = name, script, sock, flags, fill
        self.context = None if script.tls is None else make_context(script.tls, server=True)
        self.connections: list[Connection | H2Connection] = []
        self.requests = 0
        self.tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        if self.script.listen not in ("refuse", "blackhole"):
            self.tasks.append(asyncio.create_task(self._accept()))

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self.sock)
            wire = Wire(sock)
            if self.context is not None:
                wire = TlsWire(wire, self.context, {}, server=True)
            connection = self._connection(wire)
            self.connections.append(connection)
            self.tasks.append(asyncio.create_task(self._run(connection)))

    async def _run(self, connection: Connection | H2Connection) -> None:
        wire = connection.wire
        if isinstance(wire, TlsWire):
            await wire.shake()
        if not wire.over:
            await connection.run()

    def _connection(self, wire: Wire) -> Connection | H2Connection:
        script, number = self.script, len(self.connections)
        if script.http2 is not None:
            return H2Connection(wire, script.streams[min(number, len(script.streams) - 1)], self)
        return Connection(wire, script.connections[min(number, len(script.connections) - 1)], self)

    async def finish(self) -> list[Any]:
        """End the script where it is, tell what was seen, and only then close."""
        for task in self.tasks:
            task.cancel()
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        results += [error for connection in self.connections for error in connection.failures()]
        outcome = [[*_handshake(connection), *connection.outcome()] for connection in self.connections]
        for connection in self.connections:
            connection.wire.close()
        for result in results:
            if isinstance(result, Exception):
                raise result
        return outcome


def _handshake(connection: Connection | H2Connection) -> list[Any]:
    wire = connection.wire
    return [wire.seen] if isinstance(wire, TlsWire) and wire.seen else []


def _shortened(entry: dict[str, str]) -> dict[str, str]:
    return {what: shown(text) for what, text in entry.items()}


class Upstreams:
    """All scripted servers of one run of a scenario."""

    def __init__(
        self, scripts: Mapping[str, UpstreamScript], sockets: Mapping[str, socket.socket], flags: Flags, fill: Fill
    ) -> None:
        self.servers = {name: Upstream(name, script, sockets[name], flags, fill) for name, script in scripts.items()}

    def start(self) -> None:
        for server in self.servers.values():
            server.start()

    def counts(self) -> dict[str, int]:
        """`upstream.<name>.requests` and `upstream.<name>.connections` so far."""
        counts = {}
        for name, server in self.servers.items():
            counts[f"upstream.{name}.requests"] = server.requests
            counts[f"upstream.{name}.connections"] = len(server.connections)
        return counts

    async def finish(self) -> dict[str, list[Any]]:
        return {name: await server.finish() for name, server in self.servers.items()}
