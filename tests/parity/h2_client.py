"""An HTTP/2 connection of the scripted client: streams that behave, and any frame at all."""

import asyncio
from collections.abc import Callable
from typing import Any

from .frames import H2Stream, H2Wire
from .h2_upstream import pair_of, pairs_of, raw_frame
from .scenario import ScenarioError, Step, wire_text
from .wire import DEADLINE, Wire

VERBS = frozenset(
    "http2 get exchange request response headers data trailers rst goaway settings window ping frame send read "
    "read_all half_close close reset".split()
)


class H2Client:
    """Streams are numbered 1, 3, 5, … as they are first used; a step is on the last one unless it says `stream: N`.

    `holds`: it acknowledges no PING and opens no windows by itself; `silent`: it says nothing, not even the preface.
    """

    def __init__(self, wire: Wire, fill: Callable[[str], str]) -> None:
        self.wire, self.fill = wire, fill
        self.h2 = H2Wire(wire)
        self.last = -1
        self.trouble: list[str] = []
        self.reading: asyncio.Task[None] | None = None

    async def start(self, options: Any) -> None:
        settings = dict(options or {})
        self.h2.holds = bool(settings.pop("holds", False))
        if settings.pop("silent", False):
            self.reading = asyncio.create_task(self.h2.read(expect_preface=False))
            return
        await self.h2.start(settings, client=True)
        self.reading = asyncio.create_task(self.h2.read(expect_preface=False))
        await self._until_true(lambda: bool(self.h2.settings), "no SETTINGS came")

    async def watch(self, seconds: float) -> None:
        """Reads what still comes."""
        if self.reading is not None:
            await asyncio.wait([self.reading], timeout=seconds)

    async def stop(self) -> None:
        """Reads no more."""
        if self.reading is not None:
            self.reading.cancel()
            await asyncio.wait([self.reading])
            if not self.reading.cancelled() and (error := self.reading.exception()):
                self.trouble.append(str(error))
            self.reading = None

    def outcome(self) -> list[Any]:
        h2, wire = self.h2, self.wire
        first = {"settings": h2.settings, "window": h2.window_given}
        last: dict[str, Any] = {"fate": "closed here" if wire.closed_here else wire.ended or "open"}
        if h2.goaways:
            last["goaway"] = h2.goaways
        if h2.pings or h2.pongs:
            last["pings"] = [h2.pings and "some", h2.pongs]
        seen = [{"stream": stream.id} | stream.seen() for stream in h2.streams.values()]
        return [first, *seen, last, *([{"trouble": self.trouble}] if self.trouble else [])]

    async def do(self, step: Step) -> None:
        verb, value = step.verb, step.value
        if verb == "get":
            await self._message(f"GET {value}\n:authority: example.com", True)
        elif verb in ("exchange", "request"):
            await self._message(value, verb == "exchange", bool(step.options.get("end", True)))
        elif verb == "response":
            await self._wait(lambda stream: stream.over, step)
        elif verb == "read":
            await self._wait(lambda stream: bool(stream.heads) and len(stream.body) >= int(value), step)
        elif verb in ("headers", "data", "trailers", "rst", "window"):
            await self._on_stream(step)
        else:
            await self._on_connection(step)

    async def _message(self, text: str, wait: bool, end: bool = True) -> None:
        """`METHOD path`, pseudo headers and headers one a line, a body behind an empty line."""
        head, blank, body = wire_text(self.fill(text)).partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        method, _, path = first.partition(" ")
        given = [pair_of(line) for line in lines]
        known = {name for name, _ in given}
        lines_of = [each for each in ((":method", method), (":path", path), (":scheme", "http"), (":authority", "a"))
                 if each[0] not in known]  # fmt: skip
        lines_of = sorted([*lines_of, *given], key=lambda each: not each[0].startswith(":"))
        stream = self._next()
        has_body = bool(blank and body)
        await self.h2.send_head(stream.id, lines_of, end=end and not has_body)
        if has_body:
            await self.h2.send_data(stream, body.encode("latin-1"), end=end)
        if wait:
            await self._until(stream, lambda: stream.over)

    def _next(self) -> H2Stream:
        self.last += 2
        return self.h2.stream(self.last)

    def _stream(self, step: Step) -> H2Stream:
        number = step.options.get("stream", self.last)
        self.last = max(self.last, number | 1 if number % 2 else self.last)
        return self.h2.stream(number)

    async def _on_stream(self, step: Step) -> None:
        h2, value, end = self.h2, step.value, bool(step.options.get("end"))
        if step.verb == "headers":
            if "stream" not in step.options:
                self.last += 2
            await h2.send_head(self._stream(step).id, pairs_of(value, self.fill), end)
        elif step.verb == "trailers":
            await h2.send_head(self._stream(step).id, pairs_of(value, self.fill), bool(step.options.get("end", True)))
        elif step.verb == "data":
            await h2.send_data(self._stream(step), self.fill(str(value or "")).encode("latin-1"), end)
        elif step.verb == "rst":
            await h2.send_reset(step.options.get("stream", self.last), value or "CANCEL")
        else:
            await h2.open_window(step.options.get("stream", self.last), int(value))

    async def _on_connection(self, step: Step) -> None:
        h2, value = self.h2, step.value
        match step.verb:
            case "http2":
                return
            case "goaway":
                await h2.send_goaway(step.options.get("last", 0), value or "NO_ERROR")
            case "settings":
                await h2.start(value)
            case "ping":
                await self.wire.send(bytes.fromhex("000008060000000000") + bytes(8))
                await self._until_true(lambda: h2.pongs > 0, "a PING was not answered")
            case "frame":
                frames = value if isinstance(value, list) else [value]
                await self.wire.send(b"".join(raw_frame(each, 0) * each.get("times", 1) for each in frames))
            case "send":
                await self.wire.send(self.fill(value).encode("latin-1"))
            case "read_all":
                await self._until_true(lambda: self.wire.over, "the connection did not end")
            case "half_close":
                self.wire.half_close()
            case "close" | "reset":
                await self.stop()
                self.wire.close() if step.verb == "close" else self.wire.reset()
            case verb:
                raise ScenarioError(f"an HTTP/2 client cannot {verb}")

    async def _wait(self, condition: Callable[[H2Stream], bool], step: Step) -> None:
        stream = self._stream(step)
        await self._until(stream, lambda: condition(stream))

    async def _until(self, stream: H2Stream, condition: Callable[[], bool]) -> None:
        await self._until_true(lambda: condition() or stream.over, f"nothing more came on stream {stream.id}", stream)

    async def _until_true(self, condition: Callable[[], bool], words: str, stream: H2Stream | None = None) -> None:
        """Waits for something that the reading task brings; the end of the connection ends it too."""
        if self.reading is None:
            return
        try:
            async with asyncio.timeout(DEADLINE):
                while not condition() and not self.reading.done():
                    event = self.h2.opened if stream is None else stream.changed
                    event.clear()
                    waits = asyncio.create_task(event.wait())
                    await asyncio.wait([waits, self.reading], return_when=asyncio.FIRST_COMPLETED)
                    waits.cancel()
        except TimeoutError:
            self.trouble.append(words)
