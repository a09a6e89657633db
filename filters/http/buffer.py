"""Waits for the whole request before it goes on (envoy.extensions.filters.http.buffer.v3.Buffer)."""

from typing import Any

from meshproxy.api import HttpFilter, LocalReply, Outcome, Stream


class Buffer(HttpFilter):
    """limit: max_request_bytes; a longer body is answered with 413."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "Buffer":
        return cls(config.max_request_bytes)

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> int:
        """BufferPerRoute: another limit, or 0 for no buffering."""
        if config.which("override") == "disabled":
            return 0
        limit: int = config.buffer.max_request_bytes
        return limit

    def for_route(self, override: int) -> "Buffer | None":
        return Buffer(override) if override else None

    def on_request_headers(self, stream: Stream, end: bool) -> Outcome:
        return None if end else self._wait(stream)

    async def _wait(self, stream: Stream) -> LocalReply | None:
        body = await stream.read_request(self._limit)
        request = stream.request
        if "content-length" not in request:
            # The length is known now: no need of chunks.
            request.add("content-length", str(len(body)))
        return None
