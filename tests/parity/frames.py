"""One HTTP/2 connection seen from a script, at either end: frames in, frames out, nothing repaired or refused.

Acknowledgements (SETTINGS, PING) and windows look after themselves, unless the script wants them held back.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hpack import Decoder, Encoder
from hyperframe.exceptions import HyperframeError
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from .scenario import ScenarioError
from .wire import Wire, shown

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
FRAME_HEAD = 9
DEFAULT_WINDOW = 65535
LARGEST_FRAME = 16384
DEFAULT_TABLE = 4096
CODES = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
    "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip
SETTINGS = {
    "header_table_size": 1, "enable_push": 2, "max_concurrent_streams": 3, "initial_window_size": 4,
    "max_frame_size": 5, "max_header_list_size": 6, "enable_connect_protocol": 8,
}  # fmt: skip
SETTING_NAMES = {number: name for name, number in SETTINGS.items()}
Pairs = Iterable[tuple[str, str]]


def code_number(code: Any) -> int:
    """An error code by its name, or any number."""
    return code if isinstance(code, int) else CODES.index(code)


def code_name(code: int) -> str:
    return CODES[code] if code < len(CODES) else str(code)


def settings_numbers(settings: dict[Any, int]) -> dict[int, int]:
    unknown = [name for name in settings if isinstance(name, str) and name not in SETTINGS]
    if unknown:
        raise ScenarioError(f"no HTTP/2 setting has the name {unknown[0]}")
    return {SETTINGS[name] if isinstance(name, str) else name: value for name, value in settings.items()}


@dataclass(slots=True)
class H2Stream:
    """What came on one stream. `heads`: several where interim responses precede the one that counts."""

    id: int
    heads: list[list[str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: list[str] = field(default_factory=list)
    end: str = "open"  # then "end" or "reset CODE"
    window: int = DEFAULT_WINDOW  # what may be sent on it
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def over(self) -> bool:
        return self.end != "open"

    def seen(self) -> dict[str, Any]:
        seen: dict[str, Any] = {"headers": self.heads[0] if self.heads else []}
        for number, head in enumerate(self.heads[1:], 2):
            seen[f"headers_{number}"] = head
        if self.body:
            seen["body"] = shown(self.body.decode("latin-1"))
        if self.trailers:
            seen["trailers"] = self.trailers
        return seen | {"end": self.end}

    async def until(self, condition: Any) -> bool:
        """Until something is so; False where the stream was over before."""
        while not condition():
            if self.over:
                return False
            self.changed.clear()
            await self.changed.wait()
        return True


class H2Wire:
    """Reads until the peer ends (`read`), and writes what it is told. `holds`: it opens no windows by itself."""

    def __init__(self, wire: Wire, holds: bool = False) -> None:
        self.wire, self.holds = wire, holds
        self.streams: dict[int, H2Stream] = {}
        self.settings: dict[str, int] = {}  # the peer's
        self.window_given = 0  # by which the peer opened the connection's window before its first stream
        self.goaways: list[str] = []
        self.pings = self.pongs = 0
        self.window = DEFAULT_WINDOW  # what may be sent on the whole connection
        self.opened = asyncio.Event()  # set whenever a window opens
        self.on_stream: Any = None  # called with each new stream
        self._encoder, self._decoder = Encoder(), Decoder()
        self._block = b""
        self._block_head: HeadersFrame | None = None

    # ---- out ----

    async def start(self, settings: dict[Any, int], client: bool = False) -> None:
        frame = SettingsFrame(0, settings_numbers(settings))
        await self.wire.send((PREFACE if client else b"") + frame.serialize())

    async def send_frame(self, frame: Frame) -> None:
        await self.wire.send(frame.serialize())

    async def send_head(self, stream: int, pairs: Pairs, end: bool) -> None:
        """A HEADERS frame, followed by CONTINUATION frames where it is too long."""
        block = self._encoder.encode([(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs])
        pieces = [block[at : at + LARGEST_FRAME] for at in range(0, len(block), LARGEST_FRAME)] or [b""]
        frames: list[Frame] = [HeadersFrame(stream, pieces[0], flags=["END_STREAM"] if end else [])]
        frames += [ContinuationFrame(stream, piece) for piece in pieces[1:]]
        frames[-1].flags.add("END_HEADERS")
        await self.wire.send(b"".join(frame.serialize() for frame in frames))

    async def send_data(self, stream: H2Stream, data: bytes, end: bool) -> None:
        """As the peer's windows allow; what it no longer wants is left out."""
        if not data:
            await self.send_frame(DataFrame(stream.id, b"", flags=["END_STREAM"] if end else []))
        while data:
            room = min(stream.window, self.window, LARGEST_FRAME)
            if room <= 0:
                if stream.end.startswith("reset") or self.wire.over:
                    return
                self.opened.clear()
                await self.opened.wait()
                continue
            piece, data = data[:room], data[room:]
            stream.window -= len(piece)
            self.window -= len(piece)
            await self.send_frame(DataFrame(stream.id, piece, flags=["END_STREAM"] if end and not data else []))

    async def send_reset(self, stream: int, code: Any) -> None:
        await self.send_frame(RstStreamFrame(stream, code_number(code)))

    async def send_goaway(self, last: int, code: Any, debug: str = "") -> None:
        await self.send_frame(GoAwayFrame(0, last, code_number(code), debug.encode()))

    # ---- in ----

    async def read(self, expect_preface: bool) -> None:
        """Frame after frame, until the peer ends."""
        wire = self.wire
        if expect_preface and await wire.take(len(PREFACE)) != PREFACE:
            return
        while (frame := await self._frame()) is not None:
            await self._take(frame)
        self.opened.set()
        for stream in self.streams.values():
            stream.changed.set()

    async def _frame(self) -> Frame | None:
        wire = self.wire
        while len(wire.buffer) < FRAME_HEAD:
            if not await wire.fill():
                return None
        try:
            frame, length = Frame.parse_frame_header(memoryview(bytes(wire.buffer[:FRAME_HEAD])))
        except HyperframeError as error:
            raise ScenarioError(f"a frame that cannot be read: {error}") from error
        while len(wire.buffer) < FRAME_HEAD + length:
            if not await wire.fill():
                return None
        frame.parse_body(memoryview((await wire.take(FRAME_HEAD + length))[FRAME_HEAD:]))
        return frame

    async def _take(self, frame: Frame) -> None:
        match frame:
            case SettingsFrame():
                await self._take_settings(frame)
            case PingFrame():
                if "ACK" in frame.flags:
                    self.pongs += 1
                    self.opened.set()
                else:
                    self.pings += 1
                    if not self.holds:
                        await self.send_frame(PingFrame(0, frame.opaque_data, flags=["ACK"]))
            case GoAwayFrame():
                self.goaways.append(f"{code_name(frame.error_code)} after {frame.last_stream_id}")
            case WindowUpdateFrame():
                self._take_window(frame)
            case HeadersFrame() | ContinuationFrame():
                self._take_block(frame)
            case DataFrame():
                await self._take_data(frame)
            case RstStreamFrame() if frame.stream_id in self.streams:
                stream = self.streams[frame.stream_id]
                if not stream.end.startswith("reset"):
                    stream.end = f"reset {code_name(frame.error_code)}"
                stream.changed.set()
                self.opened.set()

    async def _take_settings(self, frame: SettingsFrame) -> None:
        if "ACK" in frame.flags:
            return
        before = self.settings.get("initial_window_size", DEFAULT_WINDOW)
        self.settings |= {SETTING_NAMES.get(number, str(number)): value for number, value in frame.settings.items()}
        for stream in self.streams.values():
            stream.window += self.settings.get("initial_window_size", DEFAULT_WINDOW) - before
        self.opened.set()
        if "header_table_size" in self.settings:
            self._encoder.header_table_size = min(self.settings["header_table_size"], DEFAULT_TABLE)
        await self.send_frame(SettingsFrame(0, flags=["ACK"]))

    def _take_window(self, frame: WindowUpdateFrame) -> None:
        if not frame.stream_id:
            self.window += frame.window_increment
            if not any(stream.heads for stream in self.streams.values()):
                self.window_given += frame.window_increment
        elif frame.stream_id in self.streams:
            self.streams[frame.stream_id].window += frame.window_increment
        self.opened.set()

    def _take_block(self, frame: HeadersFrame | ContinuationFrame) -> None:
        if isinstance(frame, HeadersFrame):
            self._block_head = frame
        self._block += frame.data
        if "END_HEADERS" not in frame.flags or self._block_head is None:
            return
        block, self._block = self._block, b""
        lines = [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in
                 ((bytes(pair[0]), bytes(pair[1])) for pair in self._decoder.decode(block, raw=True))]  # fmt: skip
        # The order of pseudo headers means nothing; that of the others stays.
        lines.sort(key=lambda line: line.partition(": ")[0] if line.startswith(":") else "~")
        head, stream = self._block_head, self.stream(frame.stream_id)
        if lines and lines[0].startswith(":"):
            stream.heads.append(lines)
        elif stream.heads:
            stream.trailers = lines
        else:
            stream.heads.append(lines)
        if "END_STREAM" in head.flags:
            stream.end = "end"
        stream.changed.set()
        if len(stream.heads) == 1 and not stream.trailers and self.on_stream is not None:
            self.on_stream(stream)

    def stream(self, number: int) -> H2Stream:
        stream = self.streams.get(number)
        if stream is None:
            window = self.settings.get("initial_window_size", DEFAULT_WINDOW)
            stream = self.streams[number] = H2Stream(number, window=window)
        return stream

    async def _take_data(self, frame: DataFrame) -> None:
        stream = self.stream(frame.stream_id)
        stream.body += frame.data
        if "END_STREAM" in frame.flags:
            stream.end = "end"
        stream.changed.set()
        if frame.flow_controlled_length and not self.holds:
            await self.open_window(0, frame.flow_controlled_length)
            if not stream.over:
                await self.open_window(stream.id, frame.flow_controlled_length)

    async def open_window(self, stream: int, by: int) -> None:
        await self.send_frame(WindowUpdateFrame(stream, by))
