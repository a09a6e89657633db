"""A connection of ours without a socket, for tests that play the peer."""

from typing import Any

from meshproxy.http.h2.connection import Http2Connection
from meshproxy.http.h2.errors import ConnectionBroken
from meshproxy.http.h2.heads import parse_request, parse_response
from meshproxy.http.h2.options import Http2Options
from meshproxy.http.h2.stats import Http2Stats
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Pair


class FakeTransport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.writes = 0
        self.closed = False
        self.size = 0

    def write(self, data: bytes) -> None:
        self.written += data
        self.writes += 1

    def take(self) -> bytes:
        data, self.written = self.written, b""
        return data

    def get_write_buffer_size(self) -> int:
        return self.size

    def set_write_buffer_limits(self, high: int) -> None: ...

    def close(self) -> None:
        self.closed = True

    abort = close


class Recorded(Http2Stream):
    """Notes what it is told, in the words of the event."""

    def __init__(self, connection: Http2Connection, stream_id: int) -> None:
        super().__init__(connection, stream_id)
        self.events: list[Any] = []
        self.body = b""
        connection.all.append(self)  # type: ignore[attr-defined]

    def on_headers(self, head: Any, end: bool) -> None:
        self.events.append(("headers", head, end))

    def on_data(self, data: bytes, end: bool) -> None:
        self.body += data
        self.events.append(("data", data, end))

    def on_trailers(self, pairs: list[Pair]) -> None:
        self.events.append(("trailers", pairs))

    def on_reset(self, code: int, remote: bool, details: str) -> None:
        self.events.append(("reset", code, remote, details))

    def on_write_paused(self) -> None:
        self.events.append("paused")

    def on_write_resumed(self) -> None:
        self.events.append("resumed")


class Side(Http2Connection):
    """A server or client whose streams record."""

    def __init__(self, client: bool = False, buffer_limit: int = 1 << 20, **options: Any) -> None:
        super().__init__(Http2Options(**options), Http2Stats(), buffer_limit, client)
        self.all: list[Recorded] = []
        self.broken: ConnectionBroken | None = None
        self.goaways: list[tuple[int, int, bytes]] = []
        self.connection_made(FakeTransport())

    def make_stream(self, stream_id: int) -> Http2Stream:
        return Recorded(self, stream_id)

    def parse_head(self, pairs: list[Pair]) -> Any:
        return parse_response(pairs, self.options) if self.client else parse_request(pairs, self.options)

    def flush_soon(self) -> None:
        """There is no event loop."""
        self.flush_now()

    def reset_soon(self) -> None:
        """Tests say when it is time."""

    def on_goaway(self, last: int, code: int, debug: bytes) -> None:
        self.goaways.append((last, code, debug))

    def on_broken(self, error: ConnectionBroken) -> None:
        self.broken = error
        self.close()

    def start(self, pairs: list[Pair], end: bool) -> Recorded:
        """Client: a request."""
        stream = Recorded(self, self.next_id())
        self.open(stream)
        stream.write_headers(pairs, end)
        return stream
