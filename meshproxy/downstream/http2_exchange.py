"""One request and its response on an HTTP/2 connection: what a stream of the proxy sees of the codec."""

from typing import TYPE_CHECKING, cast

from meshproxy.http.filter import LocalReply
from meshproxy.http.h1_lines import lower_ascii
from meshproxy.http.h2 import frames
from meshproxy.http.h2.errors import UNWANTED
from meshproxy.http.h2.heads import RequestHead
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Headers, Pair, RequestHeaders, ResponseHeaders, nameless_request
from meshproxy.http.meter import Meter
from meshproxy.http.stream import Stream

if TYPE_CHECKING:
    from meshproxy.downstream.http2_server import Http2Server
    from meshproxy.http.h2.connection import Http2Connection

_STATUS: dict[int, Pair] = {status: (":status", str(status)) for status in range(100, 600)}
# Headers of HTTP/1 connections, which no HTTP/2 response may have.
_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
# Response flags.
_CONNECTION_ERRORS = frozenset({"UF", "UC"})
_CONTINUE = [(":status", "100")]


class MultiplexedStream(Stream):
    """One that shares its connection with others."""

    __slots__ = ()

    protocol = "HTTP/2"


class Http2Exchange(Http2Stream):
    """`ServerSide` (http/sides.py) of one Stream."""

    __slots__ = ("ends", "head", "stream")

    meter: Meter | None = None

    def __init__(self, connection: "Http2Connection", stream_id: int) -> None:
        super().__init__(connection, stream_id)
        # Of a request that has not begun, and whether it is the whole of it.
        self.head: RequestHead | None = None
        self.ends = False
        self.stream: Stream | None = None

    @property
    def carrier(self) -> "Http2Server":
        """The connection, as the manager knows it."""
        return cast("Http2Server", self.connection)

    # ---- the request ----

    def on_headers(self, head: RequestHead, end: bool) -> None:
        """The request begins when the rest of the read is known: one that is reset in it costs little."""
        self.head = head
        self.ends = end
        self.carrier.fresh.append(self)

    def begin(self) -> None:
        """Nothing where it was reset meanwhile."""
        head = self.head
        if head is None:
            return
        end = self.ends
        stream = self._make_stream(head)
        request = stream.request
        manager = self.carrier.manager
        if "expect" in request.index and not manager.proxy_100_continue:
            self._continue(request)
        if request.method == "QUERY" and "content-type" not in request.index:
            # Content whose type is not told means nothing (draft-ietf-httpbis-safe-method-w-body §2).
            if end:
                stream.request_complete = True
                stream.request_done_at = stream.last_activity
            stream.reply(LocalReply(400, b"", "query_missing_content_type"))
        else:
            manager.run(stream, end)
            if not end:
                self._expect_more()

    def _make_stream(self, head: RequestHead) -> Stream:
        self.head = None
        index = head.index
        request = RequestHeaders(
            head.method, head.path, head.authority or "", [*head.pairs], None if index is None else index.copy(),
            head.scheme,
        )  # fmt: skip
        if head.protocol is not None:
            _as_upgrade(request, head.protocol)
        server = self.carrier
        server.requests += 1
        stream = self.stream = server.manager.start_multiplexed(self, server, request)
        return stream

    def _expect_more(self) -> None:
        """What came so far goes on at the end of the read, if the rest has not come by then."""
        unfinished = self.carrier.unfinished
        if not unfinished or unfinished[-1] is not self:
            unfinished.append(self)

    def read_ended(self) -> None:
        stream = self.stream
        if stream is not None and not stream.request_complete:
            stream.manager.terminal.flush(stream)

    def _continue(self, request: RequestHeaders) -> None:
        if lower_ascii(request.index["expect"]) == "100-continue":
            request.remove("expect")
            self.carrier.manager.count(100)
            self.write_headers(_CONTINUE, False)

    def on_data(self, data: bytes, end: bool) -> None:
        if self.head is not None:
            self.carrier.begin_fresh()
        stream = self.stream
        if stream is not None:
            stream.last_activity = stream.manager.loop.time()
            stream.receive_data(data, end)
            if not end:
                self._expect_more()
        elif end and self.early:
            self.write_reset(frames.NO_ERROR)

    def on_trailers(self, pairs: list[Pair]) -> None:
        if self.head is not None:
            self.carrier.begin_fresh()
        stream = self.stream
        if stream is not None:
            stream.last_activity = stream.manager.loop.time()
            stream.receive_trailers(Headers([*pairs]))
        elif self.early:
            self.write_reset(frames.NO_ERROR)

    def start_nameless(self) -> Stream:
        """A stream for a request whose head could not be read: it is counted and logged as the others are."""
        self.headers_received = True
        server = self.carrier
        self.stream = server.manager.start_multiplexed(self, server, nameless_request())
        return self.stream

    def on_reset(self, code: int, remote: bool, details: str) -> None:
        if self.head is not None and remote and self.carrier.count_reset():
            self.head = None
            return
        stream = self.stream if self.head is None else self._make_stream(self.head)
        if stream is None:
            if self.headers_received:
                # The response is whole, and was waiting for windows.
                return
            stream = self.start_nameless()
        if remote and code == frames.NO_ERROR and stream.response is None:
            # No failure to Envoy, whatever is missing of the request.
            stream.abort_terminal()
            stream.finish()
        elif remote:
            refused = code == frames.REFUSED_STREAM
            stream.receive_reset("DR", "http2.remote_refuse" if refused else details)
        elif details == "forced_goaway":
            stream.receive_reset("", details)
        elif details == "downstream_remote_disconnect":
            stream.receive_reset("DC", details)
        elif details in UNWANTED:
            stream.receive_reset("DR", details)
        else:
            stream.receive_reset("DPE", details)

    # ---- the response ----

    def send_headers(self, stream: Stream, headers: ResponseHeaders, end: bool) -> None:
        self.write_headers(self._head(stream, headers), end)

    def send_response(self, stream: Stream, headers: ResponseHeaders, body: bytes) -> None:
        pairs = self._head(stream, headers)
        if body:
            self.write_message(pairs, body)
        else:
            self.write_headers(pairs, True)

    def _head(self, stream: Stream, headers: ResponseHeaders) -> list[Pair]:
        status = headers.status
        pairs = headers.pairs
        if stream.upgraded:
            status = self._accept_tunnel(stream, headers)
        if stream.close_after and stream.details == "upgrade_failed" and not self.carrier.leaving:
            self.carrier.manager.time.drain(self.carrier)
        if not _HOP.isdisjoint(headers.index):
            pairs = [pair for pair in pairs if pair[0] not in _HOP]
        first = _STATUS.get(status) or (":status", str(status))
        return [first, *pairs]

    def _accept_tunnel(self, stream: Stream, headers: ResponseHeaders) -> int:
        """The answer to an upgrade or CONNECT, as a status of HTTP/2, which has no 101 (RFC 8441 §5)."""
        status = headers.status
        accepted = status == 101 or (stream.request.method == "CONNECT" and 200 <= status < 300)
        if accepted:
            stream.manager.tunnel_accepted(stream)  # type: ignore[attr-defined]
        return 200 if status == 101 else status

    def send_informational(self, stream: Stream, headers: ResponseHeaders) -> None:
        self.write_headers([(":status", str(headers.status)), *headers.pairs], False)

    def send_data(self, stream: Stream, data: bytes, end: bool) -> None:
        if data or end:
            self.write_data(data, end)

    def send_trailers(self, stream: Stream, trailers: Headers) -> None:
        if trailers.pairs:
            self.write_trailers(trailers.pairs)
        else:
            self.write_data(b"", True)

    def flush(self, stream: Stream) -> None:
        """Nothing is held back."""

    def reset(self, stream: Stream) -> None:
        if stream.upgraded and not _CONNECTION_ERRORS.isdisjoint(stream.flags):
            # What is wrong with a tunnel's far connection has a code of its own (RFC 9113 §8.5).
            self.write_reset(frames.CONNECT_ERROR)
        else:
            self.write_reset(frames.INTERNAL_ERROR)

    def on_write_paused(self) -> None:
        stream = self.stream
        if stream is not None:
            stream.manager.stats.downstream_flow_control_paused_reading_total += 1
            stream.manager.terminal.pause_reading(stream)

    def on_write_resumed(self) -> None:
        stream = self.stream
        if stream is not None:
            stream.manager.stats.downstream_flow_control_resumed_reading_total += 1
            stream.manager.terminal.resume_reading(stream)

    # ---- the stream's other wishes ----

    def pause_reading(self, stream: Stream) -> None:
        self.stop_reading()

    def resume_reading(self, stream: Stream) -> None:
        self.start_reading()

    def drain(self) -> None:
        """A response ends no HTTP/2 connection."""

    def leave(self) -> None:
        self.carrier.leave()

    def release(self, stream: Stream) -> None:
        """The stream is over; a client that still sends is told to stop."""
        if self.stream is not stream:
            return
        self.stream = None
        self.pauses = min(self.pauses, 1)
        self.start_reading()
        server = self.carrier
        server.exchange_ended(stream)
        if server.closing:
            return
        if not self.remote_closed:
            self.end_early()
        if self.queue is not None:
            server.manager.time.flush_begins(self, stream.route)


def _as_upgrade(request: RequestHeaders, protocol: str) -> None:
    """Extended CONNECT becomes the upgrade of HTTP/1 that it stands for, as in Envoy."""
    request.method = "GET"
    request.protocol = lower_ascii(protocol)
    request.set("upgrade", protocol)
    request.set("connection", "upgrade")
