"""The scripted client: raw bytes out, everything that comes back written down."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from .h2_client import H2Client
from .scenario import ScenarioError, Step, wire_text
from .tls import TlsWire, make_context, pki_folder
from .upstreams import Flags, flag
from .wire import DEADLINE, Wire, read_response, shown

GRACE = 0.12  # seconds a connection may take to close after the script is done; longer than the default delayed close
ADMIN = "admin"  # the `listener` that is the admin interface
LAST_LOOK = 0.02  # seconds for what the proxy has done by then to arrive here
Condition = Callable[[Mapping[str, int]], Awaitable[str | None]]
Answer = Callable[[str, str], None]  # how an upstream answers health checks from now on
Barrier = Callable[[], Awaitable[object]]  # returns when the proxy has got round to a request of ours


class Connection:
    def __init__(self, wire: Wire, to_admin: bool) -> None:
        self.wire = wire
        self.to_admin = to_admin
        self.methods: list[str] = []  # of the requests that have no response yet
        self.seen: list[Any] = []


class Client:
    """Runs a client script against one proxy; `until` waits for counters, `barrier` for the proxy to be up to date."""

    def __init__(
        self, fill: Callable[[str], str], ports: Mapping[str, int], flags: Flags, until: Condition, barrier: Barrier,
        answer: Answer, tls: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.fill, self.ports, self.flags, self.until, self.barrier = fill, ports, flags, until, barrier
        self.answer = answer
        self.tls = tls
        self.contexts: dict[str, ssl.SSLContext] = {}
        self.connections: dict[str, Connection] = {}
        self.files: dict[str, list[str]] = {}
        self.http2: dict[str, H2Client] = {}
        self.trouble: list[str] = []

    async def run(self, steps: tuple[Step, ...]) -> None:
        try:
            await self._run(steps)
        finally:
            for client in self.http2.values():
                await client.stop()

    async def _run(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            await self._do(step)
        for client in self.http2.values():
            await client.watch(GRACE)
        await self._watch_all(GRACE)
        if any(not connection.wire.over for connection in self.connections.values()):
            await self.barrier()
            await self._watch_all(LAST_LOOK)
        for name, connection in self.connections.items():
            wire = connection.wire
            if name in self.http2:
                await self.http2[name].stop()
                connection.seen = self.http2[name].outcome()
                continue
            if wire.buffer:
                connection.seen.append({"unread": shown(wire.buffer.decode("latin-1"))})
            connection.seen.append({"fate": "closed here" if wire.closed_here else wire.ended or "open"})

    def outcome(self) -> dict[str, Any]:
        seen: dict[str, Any] = {name: connection.seen for name, connection in self.connections.items()}
        files = {f"lines of {name}": {"page": "\n".join(lines)} for name, lines in self.files.items()}
        return seen | files | ({"trouble": self.trouble} if self.trouble else {})

    async def _watch_all(self, seconds: float) -> None:
        """Read whatever still comes on the connections that the script left open, and whether they end."""
        deadline = asyncio.get_running_loop().time() + seconds
        for name, connection in self.connections.items():
            if name in self.http2:
                await self.http2[name].watch(deadline - asyncio.get_running_loop().time())
                continue
            try:
                async with asyncio.timeout_at(deadline):
                    while await connection.wire.fill():
                        pass
            except TimeoutError:
                continue  # still open

    async def _do(self, step: Step) -> None:
        match step.verb:
            case "idle":
                await asyncio.sleep(step.value)
                return
            case "until":
                if complaint := await self.until(step.value):
                    self.trouble.append(complaint)
                # Stats are main's: its workers have heard of what changed when they serve this.
                await self.barrier()
                return
            case "signal":
                flag(self.flags, step.value).set()
                return
            case "wait_for":
                await self._wait_for(step.value)
                return
            case "write":
                self._write(step.value)
                return
            case "copy":
                self._write({name: (pki_folder() / origin).read_text() for name, origin in step.value.items()})
                return
            case "answer":
                for name, answer in step.value.items():
                    self.answer(name, answer)
                return
            case "lines":
                for name, count in step.value.items():
                    await self._lines(name, count)
                return
        connection = self.connections.get(step.conn) or await self._connect(step)
        if step.verb == "http2" and step.conn not in self.http2:
            client = self.http2[step.conn] = H2Client(connection.wire, self.fill)
            await client.start(step.value)
        elif step.conn in self.http2:
            await self.http2[step.conn].do(step)
        else:
            await self._on(connection, step)

    def _write(self, files: Mapping[str, str]) -> None:
        """As whoever watches a file wants it: another file takes the place of the old one."""
        for name, text in files.items():
            path = Path(self.fill(f"${{dir}}/{name}"))
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").rename(path)

    async def _lines(self, name: str, count: int) -> None:
        """The first lines of a file that the proxy writes, once they are there."""
        path = Path(self.fill(f"${{dir}}/{name}"))
        deadline = asyncio.get_running_loop().time() + DEADLINE
        while True:
            lines = path.read_text().splitlines() if path.exists() else []
            if len(lines) >= count or asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(LAST_LOOK)
        self.files[name] = lines[:count]

    async def _on(self, connection: Connection, step: Step) -> None:
        wire = connection.wire
        match step.verb:
            case "connect":
                return
            case "send":
                await self._send(wire, "".join(step.value) if isinstance(step.value, list) else step.value)
            case "request" | "exchange" | "get":
                text = f"GET {step.value} HTTP/1.1\nhost: example.com" if step.verb == "get" else step.value
                connection.methods.append(text.partition(" ")[0])
                await self._send(wire, wire_text(text))
                if step.verb != "request":
                    await self._response(connection, step)
            case "response":
                await self._response(connection, step)
            case "read":
                await self._read(connection, wire.take(int(step.value)))
            case "read_all":
                await self._read(connection, wire.take_all())
            case "half_close":
                wire.half_close()
            case "close":
                wire.close()
            case "reset":
                wire.reset()
            case verb:
                raise ScenarioError(f"a client cannot {verb}")

    async def _connect(self, step: Step) -> Connection:
        sock = socket.socket()
        sock.setblocking(False)
        if source := step.options.get("source"):
            sock.bind((source, 0))
        listener = step.options.get("listener", "in")
        port = self.ports[listener]
        tls = step.options.get("tls", self.tls if listener == "in" else None)
        connection = self.connections[step.conn] = Connection(Wire(sock), listener == ADMIN)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except ConnectionError:
            connection.seen.append({"connect": "refused"})
            connection.wire.ended = "rst"
        else:
            if tls is not None and tls is not False:
                await self._secure(connection, tls)
        return connection

    async def _secure(self, connection: Connection, options: Mapping[str, Any]) -> None:
        """TLS from here on; `session` names a connection whose session is taken up again."""
        shared = {key: value for key, value in options.items() if key not in ("session", "sni")}
        context = self.contexts.setdefault(repr(shared), make_context(shared, server=False))
        wire = connection.wire = TlsWire(connection.wire, context, options, server=False)
        if earlier := options.get("session"):
            before = self.connections[earlier].wire
            assert isinstance(before, TlsWire)
            wire.tls.session = before.tls.session
        await wire.shake()
        connection.seen.append(wire.seen)

    async def _send(self, wire: Wire, text: str) -> None:
        await wire.send(self.fill(text).encode("latin-1"))

    async def _response(self, connection: Connection, step: Step) -> None:
        """One final response and the interim ones before it; `to` overrides the method it answers."""
        method = step.options.get("to") or (connection.methods.pop(0) if connection.methods else "GET")
        while True:
            message = await read_response(connection.wire, method)
            connection.seen.append(message.seen(connection.to_admin))
            if message.cut or message.start[9:10] != "1" or message.start[9:12] == "101" or step.value == "one":
                return

    async def _read(self, connection: Connection, reading: Awaitable[bytes]) -> None:
        wire = connection.wire
        try:
            async with asyncio.timeout(DEADLINE):
                data = await reading
        except TimeoutError:
            data = bytes(wire.buffer) + b"<timeout>"
            wire.buffer.clear()
        connection.seen.append({"bytes": shown(data.decode("latin-1"))})

    async def _wait_for(self, name: str) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                await flag(self.flags, name).wait()
        except TimeoutError:
            self.trouble.append(f"nobody signalled {name}")
