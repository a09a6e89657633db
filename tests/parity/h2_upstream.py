"""A scripted HTTP/2 upstream: one script per stream."""

import asyncio
from typing import TYPE_CHECKING, Any

from .frames import H2Stream, H2Wire, Pairs
from .scenario import ScenarioError, Step, wire_text
from .wire import Wire

if TYPE_CHECKING:
    from .upstreams import Upstream


class H2Connection:
    """One accepted connection. Its first, second, ... stream runs the first, second, ... script, the last all others;
    but a path that has a script of its own runs that.

    `holds`: it acknowledges no PING and opens no windows by itself.
    """

    def __init__(self, wire: Wire, scripts: tuple[tuple[Step, ...], ...], upstream: "Upstream") -> None:
        self.wire, self.scripts, self.upstream = wire, scripts, upstream
        options = dict(upstream.script.http2 or {})
        self.h2 = H2Wire(wire, holds=bool(options.pop("holds", False)))
        self.h2.on_stream = self._run_script
        self.silent = bool(options.pop("silent", False))  # says nothing, not even SETTINGS
        self.own_settings = options
        self.tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        if not self.silent:
            await self.h2.start(self.own_settings)
        try:
            await self.h2.read(expect_preface=True)
            if not self.wire.closed_here:
                self.wire.half_close()  # the peer has ended, so do we
        finally:
            for task in self.tasks:
                task.cancel()

    def outcome(self) -> list[Any]:
        """What was seen, once the task that ran it is over."""
        self.wire.poll()
        h2 = self.h2
        first = {"settings": h2.settings, "window": h2.window_given}
        last: dict[str, Any] = {"fate": "closed here" if self.wire.closed_here else self.wire.ended or "open"}
        if h2.goaways:
            last["goaway"] = h2.goaways
        if h2.pings:
            last["pings"] = "some"
        return [first, *(stream.seen() for stream in h2.streams.values()), last]

    def failures(self) -> list[BaseException]:
        """Of scripts that could not be run."""
        return [error for task in self.tasks
                if task.done() and not task.cancelled() and (error := task.exception()) is not None]  # fmt: skip

    def _run_script(self, stream: H2Stream) -> None:
        self.upstream.requests += 1
        path = next((line[7:] for line in stream.heads[0] if line.startswith(":path: ")), "")
        script = self.upstream.script.paths.get(path)
        if script is None:
            script = self.scripts[min(len(self.tasks), len(self.scripts) - 1)] if self.scripts else ()
        self.tasks.append(asyncio.create_task(self._run(stream, script)))

    async def _run(self, stream: H2Stream, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if self.wire.closed_here:
                return
            await self._do(stream, step)

    async def _do(self, stream: H2Stream, step: Step) -> None:
        h2, value, end = self.h2, step.value, bool(step.options.get("end"))
        match step.verb:
            case "request":
                await stream.until(lambda: stream.over)
            case "read":
                await stream.until(lambda: len(stream.body) >= int(value))
            case "reply":
                await stream.until(lambda: stream.over)
                await self._reply(stream, value, step.options.get("with_trailers"))
            case "headers" | "trailers":
                await h2.send_head(stream.id, pairs_of(value, self.upstream.fill), end or step.verb == "trailers")
            case "data":
                await h2.send_data(stream, self.upstream.fill(str(value or "")).encode("latin-1"), end)
            case "echo":
                await self._echo(stream)
            case "hang":
                await asyncio.Event().wait()
            case _:
                await self._do_on_connection(stream, step)

    async def _do_on_connection(self, stream: H2Stream, step: Step) -> None:
        h2, value, flags = self.h2, step.value, self.upstream.flags
        match step.verb:
            case "rst":
                await h2.send_reset(stream.id, value or "CANCEL")
            case "goaway":
                await h2.send_goaway(step.options.get("last", stream.id), value or "NO_ERROR")
            case "settings":
                await h2.start(value)
            case "window":
                await h2.open_window(stream.id, int(value))
                await h2.open_window(0, int(value))
            case "frame":
                frames = value if isinstance(value, list) else [value]
                await self.wire.send(b"".join(raw_frame(each, stream.id) * each.get("times", 1) for each in frames))
            case "close" | "reset":
                asyncio.get_running_loop().remove_reader(self.wire.sock)  # which `run` waits on
                self.wire.close() if step.verb == "close" else self.wire.reset()
            case "half_close":
                self.wire.half_close()
            case "idle":
                await asyncio.sleep(value)
            case "signal":
                flags.setdefault(value, asyncio.Event()).set()
            case "wait_for":
                await flags.setdefault(value, asyncio.Event()).wait()
            case verb:
                raise ScenarioError(f"an HTTP/2 upstream cannot {verb}")

    async def _reply(self, stream: H2Stream, value: Any, trailers: Any) -> None:
        """A status (the body is the upstream's name), or a whole message as text, whose status line may be any."""
        if isinstance(value, int):
            body = "" if value in (204, 304) else self.upstream.name
            length = "" if value == 204 else f"content-length: {len(body)}\n"
            head_only = bool(stream.heads) and ":method: HEAD" in stream.heads[0]
            value = f"HTTP/2 {value}\n{length}\n" + ("" if head_only else body)
        head, _, text = wire_text(self.upstream.fill(value)).partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        pairs = [(":status", start.split(" ")[1]), *(pair_of(line) for line in lines)]
        await self.h2.send_head(stream.id, pairs, end=not text and trailers is None)
        if text:
            await self.h2.send_data(stream, text.encode("latin-1"), end=trailers is None)
        if trailers is not None:
            await self.h2.send_head(stream.id, pairs_of(trailers, self.upstream.fill), end=True)

    async def _echo(self, stream: H2Stream) -> None:
        """`stream.body` keeps what was seen; `echoed` of it went back."""
        echoed = 0

        def more() -> bool:
            return len(stream.body) > echoed

        while await stream.until(more):
            piece = bytes(stream.body[echoed:])
            echoed += len(piece)
            await self.h2.send_data(stream, piece, end=False)
        if stream.end == "end":
            await self.h2.send_data(stream, b"", end=True)


def pair_of(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":") if not line.startswith(":") else _pseudo(line)
    return name, value.strip(" ")


def _pseudo(line: str) -> tuple[str, str, str]:
    name, colon, value = line[1:].partition(":")
    return f":{name}", colon, value


def pairs_of(value: Any, fill: Any) -> Pairs:
    """A mapping of names to values, or a list of lines."""
    if isinstance(value, dict):
        return [(name, fill(str(text))) for name, text in value.items()]
    return [pair_of(fill(line)) for line in value]


def raw_frame(value: Any, stream: int) -> bytes:
    """`{type: 0, flags: 1, stream: 3, payload: hexadecimal}`, whatever that is; the stream's own number by default."""
    payload = bytes.fromhex(value.get("payload", ""))
    number = value.get("stream", stream).to_bytes(4, "big")
    length = value.get("length", len(payload)).to_bytes(3, "big")
    return length + bytes([value["type"], value.get("flags", 0)]) + number + payload

