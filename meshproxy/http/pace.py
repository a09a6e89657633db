"""A response at a limited rate (Envoy's StreamRateLimiter): its body goes on in slices of a sixteenth of a second."""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from meshproxy.http.headers import Headers

if TYPE_CHECKING:
    from meshproxy.http.stream import Stream

_SLICES = 16  # per second


class Pace:
    """Stands behind the hooks of one stream, from the head of its response on. rate: KiB per second.

    Among the stream's timeouts it is one that hears when the stream is over.
    """

    __slots__ = ("_chunks", "_ended", "_full", "_loop", "_rate", "_sent_at", "_size", "_slice", "_stream", "_timer",
                 "_tokens", "_trailers")  # fmt: skip

    def __init__(self, stream: "Stream", rate: int) -> None:
        self._stream = stream
        self._loop: asyncio.AbstractEventLoop = stream.manager.loop
        self._slice = max(1, rate * 1024 // _SLICES)
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = self._full = False
        self._trailers: Headers | None = None
        self._timer: asyncio.TimerHandle | None = None
        # The first slice goes at once.
        self._tokens = 1.0
        self._sent_at = self._loop.time()

    def take_data(self, data: bytes, end: bool) -> None:
        if data:
            self._chunks.append(data)
            self._size += len(data)
        self._ended = self._ended or end
        if not self._full and self._size > self._stream.manager.buffer_limit:
            self._full = True
            self._stream.manager.terminal.pause_reading(self._stream)
        if self._timer is None:
            self._send()

    def take_trailers(self, trailers: Headers) -> None:
        self._trailers = trailers
        if self._timer is None:
            self._send()

    def discard(self, stream: "Stream") -> bool:
        """The stream is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._chunks.clear()
        return True

    def _send(self) -> None:
        self._timer = None
        now = self._loop.time()
        self._tokens = min(_SLICES, self._tokens + (now - self._sent_at) * _SLICES)
        self._sent_at = now
        slices = min(int(self._tokens), -(-self._size // self._slice))
        self._tokens -= slices
        data = self._cut(slices * self._slice)
        rest = self._size > 0
        if rest:
            self._timer = self._loop.call_later(max(0.001, (1 - self._tokens) / _SLICES), self._send)
        over = not rest and self._ended and self._trailers is None
        stream = self._stream
        if data or over:
            stream.emit_response_data(data, over)
        if not rest and self._trailers is not None and not stream.done:
            stream.emit_response_trailers(self._trailers)
        if self._full and not stream.done and self._size <= stream.manager.buffer_limit:
            self._full = False
            stream.manager.terminal.resume_reading(stream)

    def _cut(self, size: int) -> bytes:
        """Up to so many bytes from the front."""
        parts = []
        while size and self._chunks:
            chunk = self._chunks.popleft()
            if len(chunk) > size:
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            parts.append(chunk)
            size -= len(chunk)
            self._size -= len(chunk)
        return b"".join(parts)
