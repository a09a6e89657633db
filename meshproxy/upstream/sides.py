"""What an attempt asks of a pool and of the stream that it gets from it, and what both tell the attempt.

HTTP/1 connections, streams of HTTP/2 connections and TCP tunnels all look like this to an attempt.
"""

from typing import TYPE_CHECKING, Any, Protocol

from meshproxy.http.failures import Failure
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders

if TYPE_CHECKING:
    from meshproxy.upstream.endpoint import Endpoint


class Waiting(Protocol):
    """An attempt that waits for a connection."""

    @property
    def stream(self) -> Any:
        """Whose exchange it is (http.stream.Stream)."""

    def on_ready(self, client: Any) -> None:
        """`client`: an UpstreamStream."""

    def on_reset(self, failure: Failure, reason: str) -> None: ...


class Exchange(Protocol):
    """What an upstream stream tells the attempt that it serves."""

    @property
    def stream(self) -> Any:
        """Whose exchange it is (http.stream.Stream)."""

    def on_informational(self, headers: ResponseHeaders) -> None: ...
    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        """A whole response at once: head, body and end in one read."""

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None: ...
    def on_data(self, data: bytes, end: bool) -> None: ...
    def on_trailers(self, trailers: Headers) -> None: ...
    def on_reset(self, failure: Failure, reason: str) -> None: ...
    def on_read(self) -> None:
        """All that one read gave was handed over, and the response is not at its end."""

    def on_write_paused(self) -> None: ...
    def on_write_resumed(self) -> None: ...


class UpstreamStream(Protocol):
    """One exchange with an upstream, from `send_headers` until its response ended, was reset or was abandoned."""

    # The attempt that it serves now.
    attempt: Exchange | None

    @property
    def pool(self) -> "UpstreamPool": ...
    @property
    def requests(self) -> int:
        """Exchanges that its connection has served one after the other, where that makes a request safe to repeat."""

    @property
    def response_started(self) -> bool: ...
    @property
    def tunnel(self) -> bool:
        """An upgrade or CONNECT was accepted: bytes go through as they are."""

    @property
    def connection(self) -> "UpstreamConnection": ...

    def send_headers(self, attempt: Exchange, request: RequestHeaders, end: bool) -> None: ...
    def send_data(self, data: bytes, end: bool) -> None: ...
    def send_trailers(self, trailers: Headers) -> None: ...
    def flush(self) -> None:
        """What came so far of an unfinished request should leave now."""

    def abandon(self) -> None:
        """The attempt wants no more of it."""

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class UpstreamConnection(Protocol):
    """What logs know of the connection that served an exchange. Times are the loop's."""

    @property
    def id(self) -> int: ...
    @property
    def local(self) -> tuple[str, int]: ...
    @property
    def tls(self) -> Any:
        """What is known of its TLS (a TlsFacts), if it has any."""

    @property
    def protocol(self) -> str | None:
        """%UPSTREAM_PROTOCOL%"""

    @property
    def dialled_at(self) -> float: ...
    @property
    def connected_at(self) -> float: ...


class UpstreamPool(Protocol):
    """Where an attempt gets its stream from."""

    @property
    def endpoint(self) -> "Endpoint": ...

    def take(self, attempt: Waiting) -> UpstreamStream | None:
        """A stream that is ready, or None: then `attempt.on_ready` or `on_reset` follows, maybe at once."""

    def take_fresh(self, attempt: Waiting) -> bool:
        """As `take`, with a connection of its own for it; False where limits forbid."""

    def forget(self, attempt: Waiting) -> None:
        """The attempt waits no longer."""

    def begin(self) -> bool:
        """A request starts; False where the cluster has as many as it may have."""

    def end(self) -> None:
        """A request that has begun is over."""

    def release(self, client: Any) -> None:
        """A stream that was taken is not used after all."""
