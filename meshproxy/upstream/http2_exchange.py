"""One exchange on an HTTP/2 connection to an upstream: for an attempt the stream that it gets from its pool."""

from typing import TYPE_CHECKING

from meshproxy.http.failures import (
    CONNECT_ERROR,
    PROTOCOL_ERROR,
    REMOTE_REFUSED,
    REMOTE_RESET,
    Failure,
)
from meshproxy.http.h2 import frames
from meshproxy.http.h2.heads import ResponseHead
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Headers, Pair, RequestHeaders, ResponseHeaders
from meshproxy.upstream.sides import Exchange

if TYPE_CHECKING:
    from meshproxy.upstream.http2_client import Http2Client
    from meshproxy.upstream.http2_pool import Http2Pool

# What an HTTP/1 upgrade has and extended CONNECT has not (RFC 8441).
_OF_UPGRADE = frozenset({"connection", "upgrade"})
_FAILURES = {
    frames.REFUSED_STREAM: REMOTE_REFUSED,
    frames.CONNECT_ERROR: CONNECT_ERROR,
    frames.PROTOCOL_ERROR: PROTOCOL_ERROR,
}


class Http2Exchange(Http2Stream):
    """It becomes a stream, with an id, when its head is written; heads of one connection go in the order of ids.

    A head is held until the first of the body, or `flush`, so that both go in one write; and a response's head until
    the read is done that brought it, so that a whole response goes on in one call.
    """

    __slots__ = ("_head", "_held", "_touched", "_upgrade", "attempt", "bodiless", "response_started", "tunnel")

    connection: "Http2Client"
    # A request is never unsafe because its connection was used before: what a peer has not seen it says (GOAWAY).
    requests = 0

    def __init__(self, connection: "Http2Client") -> None:
        super().__init__(connection, 0)
        self.attempt: Exchange | None = None
        self.response_started = self.tunnel = self.bodiless = self._touched = False
        # The request's head while it is not written.
        self._head: list[Pair] | None = None
        # A response's head.
        self._held: ResponseHeaders | None = None
        # What the client wants to speak instead of HTTP, as it spelled it; "" with a plain CONNECT.
        self._upgrade: str | None = None

    @property
    def pool(self) -> "Http2Pool":
        return self.connection.pool

    # ---- the request ----

    def send_headers(self, attempt: Exchange, request: RequestHeaders, end: bool) -> None:
        self.attempt = attempt
        method = request.method
        if request.protocol is not None or method == "CONNECT":
            head = self._connect(request)
        else:
            if method == "HEAD":
                self.bodiless = True
            head = [(":authority", request.authority), (":path", request.path), (":method", method),
                    (":scheme", request.scheme), *request.pairs]  # fmt: skip
        if end or self._upgrade is not None:
            self._open()
            self.write_headers(head, end)
        else:
            self._head = head

    def _connect(self, request: RequestHeaders) -> list[Pair]:
        """CONNECT, and upgrades as extended CONNECT."""
        if request.protocol is None:
            self._upgrade = ""
            return [(":authority", request.authority), (":method", "CONNECT"), *request.pairs]
        self._upgrade = request.index.get("upgrade", request.protocol)
        pairs = [pair for pair in request.pairs if pair[0] not in _OF_UPGRADE and pair != ("content-length", "0")]
        return [(":authority", request.authority), (":path", request.path), (":method", "CONNECT"),
                (":scheme", request.scheme), (":protocol", self._upgrade), *pairs]  # fmt: skip

    def _open(self) -> None:
        connection = self.connection
        self.id = connection.next_id()
        self.send_window = connection.peer_window
        connection.open(self)

    def send_data(self, data: bytes, end: bool) -> None:
        head = self._head
        if head is None:
            self.write_data(data, end)
        else:
            self._head = None
            self._open()
            if end and data:
                self.write_message(head, data)
            else:
                self.write_headers(head, end and not data)
                self.write_data(data, end)

    def send_trailers(self, trailers: Headers) -> None:
        self.flush()
        self.write_trailers(trailers.pairs)

    def flush(self) -> None:
        head = self._head
        if head is not None:
            self._head = None
            self._open()
            self.write_headers(head, False)

    def abandon(self) -> None:
        attempt, self.attempt = self.attempt, None
        if self._head is not None:
            self._head = None
            self.unused()
        elif attempt is not None:
            self._cut()

    def unused(self) -> None:
        """It was taken for an attempt that sends nothing."""
        self.connection.stream_closed(self)

    def pause_reading(self) -> None:
        self.stop_reading()

    def resume_reading(self) -> None:
        self.start_reading()

    # ---- the response ----

    def on_headers(self, head: ResponseHead, end: bool) -> None:
        attempt = self.attempt
        if attempt is None:
            return
        index = head.index
        headers = ResponseHeaders(head.status, head.pairs.copy(), None, None if index is None else index.copy())
        if head.status < 200:
            attempt.on_informational(headers)
            return
        self.response_started = True
        if self._upgrade is not None:
            self._judge_upgrade(headers)
        if end:
            self._finish()
            attempt.on_response(headers, b"")
        else:
            self._held = headers
            self._touch()

    def _judge_upgrade(self, headers: ResponseHeaders) -> None:
        """What accepts an extended CONNECT is for the client what accepts an upgrade."""
        # What follows has no length, whatever is said.
        self.content_left = -1
        if self._upgrade and headers.status == 200:
            headers.status = 101
            headers.set("upgrade", self._upgrade)
            headers.set("connection", "upgrade")
            self.tunnel = True
        elif not self._upgrade and 200 <= headers.status < 300:
            headers.remove("content-length")
            self.tunnel = True

    def on_data(self, data: bytes, end: bool) -> None:
        attempt, held = self.attempt, self._held
        if attempt is None:
            return
        if held is not None:
            self._held = None
            if end and data and not self.tunnel:
                self._finish()
                attempt.on_response(held, data)
                return
            attempt.on_headers(held, False)
            if self.attempt is None:
                return
        if end:
            self._finish()
        elif not self._touched:
            self._touch()
        attempt.on_data(data, end)

    def on_trailers(self, pairs: list[Pair]) -> None:
        attempt = self.attempt
        if attempt is None:
            return
        if self._held is not None:
            held, self._held = self._held, None
            attempt.on_headers(held, False)
            if self.attempt is None:
                return
        self._finish()
        attempt.on_trailers(Headers(pairs.copy()))

    def read_ended(self) -> None:
        """All that came with one read was handed over."""
        self._touched = False
        held, self._held = self._held, None
        if held is not None and self.attempt is not None:
            self.attempt.on_headers(held, False)
        if self.attempt is not None:
            self.attempt.on_read()

    def _touch(self) -> None:
        self._touched = True
        self.connection.touched.append(self)

    def _finish(self) -> None:
        """The response is whole. Where the request is not, the peer has said that it does not need the rest."""
        self.attempt = None
        if not self.local_closed:
            self._cut()

    def _cut(self) -> None:
        """Ends the stream from here, with the code that Envoy has for that."""
        self.pool.stats.upstream_rq_tx_reset += 1
        self.write_reset(frames.INTERNAL_ERROR)

    # ---- its end ----

    def on_reset(self, code: int, remote: bool, details: str) -> None:
        attempt, self.attempt = self.attempt, None
        if attempt is None:
            return
        failure = self._failure(code, remote)
        self._count(failure)
        held, self._held = self._held, None
        if held is not None:
            attempt.on_headers(held, False)
        attempt.on_reset(failure, "")

    def _failure(self, code: int, remote: bool) -> Failure:
        if self.connection.ended and not remote:
            return self.connection.failure
        if remote or code == frames.INTERNAL_ERROR:
            # The latter comes from here, for a head that is too large; Envoy's codec calls it so.
            return _FAILURES.get(code, REMOTE_RESET)
        return PROTOCOL_ERROR

    def _count(self, failure: Failure) -> None:
        """As Envoy's MultiplexedActiveClientBase::onStreamReset has it."""
        stats = self.pool.stats
        if failure is REMOTE_RESET:
            stats.upstream_rq_rx_reset += 1
        elif failure is PROTOCOL_ERROR:
            stats.upstream_rq_tx_reset += 1
        elif failure.flag == "UC":
            stats.upstream_rq_pending_failure_eject += 1

    def on_write_paused(self) -> None:
        if self.attempt is not None:
            self.pool.stats.upstream_flow_control_backed_up_total += 1
            self.attempt.on_write_paused()

    def on_write_resumed(self) -> None:
        if self.attempt is not None:
            self.pool.stats.upstream_flow_control_drained_total += 1
            self.attempt.on_write_resumed()
