"""What a stream talks to: the codec that faces the client, the terminal filter, and the manager that made it.

Both servers (HTTP/1 and HTTP/2) and all terminal filters look like this to a stream.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Headers, ResponseHeaders

if TYPE_CHECKING:
    from meshproxy.http.meter import Meter
    from meshproxy.http.stream import Stream


class ServerSide(Protocol):
    """What a stream asks of the codec that faces the client. HTTP/1 and HTTP/2 servers implement it."""

    # The stream that it serves now.
    stream: "Stream | None"
    # What the exchange has put on the wire; None where nobody wants to know.
    meter: "Meter | None"

    @property
    def carrier(self) -> Any:
        """The connection that carries the exchange, as managers know it."""

    def send_headers(self, stream: "Stream", headers: ResponseHeaders, end: bool) -> None: ...
    def send_response(self, stream: "Stream", headers: ResponseHeaders, body: bytes) -> None:
        """A whole response at once."""

    def send_informational(self, stream: "Stream", headers: ResponseHeaders) -> None: ...
    def send_data(self, stream: "Stream", data: bytes, end: bool) -> None: ...
    def send_trailers(self, stream: "Stream", trailers: Headers) -> None: ...
    def flush(self, stream: "Stream") -> None: ...
    def reset(self, stream: "Stream") -> None: ...
    def pause_reading(self, stream: "Stream") -> None: ...
    def resume_reading(self, stream: "Stream") -> None: ...
    def drain(self) -> None:
        """The connection serves no more requests than it has."""

    def leave(self) -> None:
        """Responses say from now on that the connection ends; it serves until somebody closes it."""

    def release(self, stream: "Stream") -> None: ...


class Terminal(Protocol):
    """The last filter of a chain (the router): it takes the request and gives the response."""

    def start(self, stream: "Stream", end: bool) -> None: ...
    def send_data(self, stream: "Stream", data: bytes, end: bool) -> None: ...
    def send_trailers(self, stream: "Stream", trailers: Headers) -> None: ...
    def flush(self, stream: "Stream") -> None:
        """What came so far of an unfinished request should leave now."""

    def abort(self, stream: "Stream") -> None: ...
    def pause_reading(self, stream: "Stream") -> None: ...
    def resume_reading(self, stream: "Stream") -> None: ...


class Manager(Protocol):
    """What a stream asks of the HTTP connection manager that made it."""

    loop: asyncio.AbstractEventLoop
    terminal: Terminal
    buffer_limit: int
    proxy_100_continue: bool
    # http.<stat_prefix>.*
    stats: Any

    def prepare_response(self, stream: "Stream", headers: ResponseHeaders) -> None: ...
    def prepare_local_reply(self, stream: "Stream", reply: LocalReply) -> tuple[ResponseHeaders, bytes]: ...
    def find_route(self, stream: "Stream") -> None: ...
    def look_up(self, stream: "Stream") -> Any:
        """The route that its request would find now; it keeps its own."""

    def recreate(self, stream: "Stream", headers: ResponseHeaders, body: Sequence[bytes]) -> None:
        """The exchange begins anew with what its request has become; for logs and stats it ends here with `headers`.

        body: that of the request, which is complete.
        """

    def count(self, status: int) -> None: ...
    def finish(self, stream: "Stream") -> None: ...
