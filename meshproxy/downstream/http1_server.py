"""One HTTP/1 connection from a client: bytes on a socket to streams, one after the other (RFC 9112).

The codec frames, and removes what belongs to the connection alone; what a request means is the manager's business.
"""

from typing import TYPE_CHECKING, Any

from meshproxy.downstream.closing import close_connection
from meshproxy.downstream.http1_writer import HELD, REASONS, TUNNEL, Http1Writer
from meshproxy.http.chunked import ChunkedDecoder
from meshproxy.http.errors import CodecError
from meshproxy.http.filter import LocalReply
from meshproxy.http.h1_connection import drop_upgrades, sanitize_request
from meshproxy.http.h1_head import (
    INLINE_REQUEST,
    check_first_line,
    join_inline,
    parse_pairs,
    spelling_of,
    split_head,
)
from meshproxy.http.h1_lines import (
    CONTENT_LENGTHS,
    HEADER_LINES,
    METHODS,
    REQUEST_LINES,
    IrregularLine,
    RequestLine,
    has_token,
    lower_ascii,
)
from meshproxy.http.headers import Headers, Pair, RequestHeaders, nameless_request
from meshproxy.http.stream import Stream

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager
    from meshproxy.net.connection import Connection

_METHOD_START = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# Names in a request's head that the codec has to look at.
_OF_INTEREST = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "expect", "te", "content-length"}
)
_CHUNKED = -1


class Http1Server(Http1Writer):
    """Reads heads and bodies, writes answers; requests that come early wait their turn.

    What it asks of its manager: `http1` (Http1Options), `buffer_limit`, `proxy_100_continue`, `stats`, `loop`,
    `delayed_close` (a TimeoutQueue, or None for none), `connection_made(server)`, `connection_lost(server)`,
    `start(...) -> Stream`, `run(stream, end)`.
    """

    __slots__ = (
        "_asked_close", "_buffer", "_decoder", "_feeding", "_pauses", "_said", "_same", "_waits", "closing",
        "connection", "counted", "last_activity", "requests", "stream", "unsent",
    )  # fmt: skip

    def __init__(self, manager: "HttpManager", connection: "Connection") -> None:
        super().__init__(manager)
        self.connection = connection
        self.stream: Stream | None = None
        self.closing = False
        self.requests = 0
        # Bytes that were not written when the connection was closed, or at the last look of the delayed close.
        self.unsent = 0
        # The manager has counted it as one that spoke HTTP/1.
        self.counted = False
        # Loop time at which the last exchange ended, or the connection began: for the idle timeout.
        self.last_activity = connection.started
        self._asked_close = False
        self._buffer = b""
        self._decoder: ChunkedDecoder | None = None
        self._feeding = False
        # The last plain head that was a read of its own; and, where it came twice in a row, what it says.
        self._same = b""
        self._said: tuple[str, str, str, tuple[Pair, ...], dict[str, str]] | None = None
        # Whether a pipelined request waits with the reader stopped, and how many others want it stopped.
        self._waits = False
        self._pauses = 0

    # ---- the transport's callbacks ----

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=self.manager.buffer_limit)
        self.manager.connection_made(self)

    def connection_lost(self, error: Exception | None) -> None:
        closed_here, self.closing = self.closing or bool(self.connection.local_close_reason), True
        manager = self.manager
        if self.stream is None and self._buffer and not closed_here:
            self.start_nameless()
        if closed_here and manager.delayed_close is not None and manager.delayed_close.discard(self):
            # We waited for the client to close, and it did.
            closed_here = False
        manager.connection_lost(self, closed_here)
        if self.stream is not None:
            self.stream.receive_reset("DC", "downstream_remote_disconnect")
        self.connection.ended()

    def pause_writing(self) -> None:
        self.manager.stats.downstream_flow_control_paused_reading_total += 1
        if self.stream is not None:
            self.manager.terminal.pause_reading(self.stream)

    def resume_writing(self) -> None:
        self.manager.stats.downstream_flow_control_resumed_reading_total += 1
        if self.stream is not None:
            self.manager.terminal.resume_reading(self.stream)

    def data_received(self, data: bytes) -> None:
        self.manager.stats.downstream_cx_rx_bytes_total += len(data)
        if self.closing:
            return
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        self._feed(data)

    # ---- the request ----

    def _feed(self, data: bytes) -> None:
        self._feeding = True
        start = data
        try:
            while data and not self.closing:
                if self._left:
                    data = self._read_body(data)
                elif self.stream is None:
                    rest = self._read_head(data)
                    if rest is None:
                        break
                    data = rest
                else:
                    self._hold(data)
                    break
        except CodecError as error:
            if not self.manager.take_http2(self, start):
                self._refuse(error)
        finally:
            self._feeding = False
        stream = self.stream
        if stream is not None and not stream.request_complete:
            self.manager.terminal.flush(stream)

    def _hold(self, data: bytes) -> None:
        """Bytes that must wait: a pipelined request, or those of an upgrade that is not accepted yet."""
        self._buffer = data
        if len(data) > self.manager.http1.max_head and not self._waits:
            self._waits = True
            self.transport.pause_reading()

    def _read_head(self, data: bytes) -> bytes | None:
        """The bytes behind the head, or None while it is not complete."""
        if data == self._same and self._said is not None:
            self._repeat(*self._said)
            return b""
        end = data.find(b"\r\n\r\n")
        options = self.manager.http1
        if 0 < end <= options.max_head:
            lines = data[:end].decode("latin-1").split("\r\n")
            try:
                line = REQUEST_LINES[lines[0]]
                pairs = [HEADER_LINES[text] for text in lines[1:]]
            except IrregularLine:
                end = -1
            except CodecError:
                # Empty lines in front are no error: the lenient reading decides.
                if lines[0]:
                    raise
                end = -1
            else:
                self._request(line, pairs, lines, data, end)
                return data[end + 4 :]
        return self._read_irregular_head(data, options.max_head)

    def _read_irregular_head(self, data: bytes, limit: int) -> bytes | None:
        if data.lstrip(b"\r\n")[:1] and data.lstrip(b"\r\n")[0] not in _METHOD_START:
            raise CodecError("http1.codec_error")
        head = split_head(data, limit)
        if head is None:
            check_first_line(data, self.manager.http1)
            if self.stream is None and not self._buffer:
                self.manager.head_started(self)
            self._buffer = data
            return None
        lines, taken = head
        try:
            line = REQUEST_LINES[lines[0]]
        except IrregularLine:
            raise CodecError("http1.codec_error") from None
        self._request(line, parse_pairs(lines[1:]), lines, data, -1)
        return data[taken:]

    def _request(self, line: RequestLine, pairs: list[Pair], lines: list[str], data: bytes, end: int) -> None:
        """A head is complete and well-formed: frame its body, then start the stream. It ends at `end` in `data`."""
        method, path, _, _, _, plain, _ = line
        host = pairs.pop(0)[1] if pairs and pairs[0][0] == "host" else None
        index = dict(pairs)
        count = len(pairs)
        plain = plain and len(index) == count and not self._unusual
        if plain and host is not None and count < self.manager.http1.max_headers and "host" not in index:
            request = RequestHeaders(method, path, host, pairs, index)
        else:
            request = RequestHeaders(method, path, host or "", pairs)
            host = self._settle(line, request, host, lines)
            plain = False
        self._left = 0
        if method == "CONNECT":
            self._left = HELD
        if not _OF_INTEREST.isdisjoint(index):
            plain = False
            if self._frame(request):
                host = None
        if plain and len(data) == end + 4:
            self._remember(data, request)
        self._begin(request, host)

    def _remember(self, data: bytes, request: RequestHeaders) -> None:
        """A read that is a plain head and nothing else; what it says is kept once it came a second time."""
        if data == self._same:
            self._said = (request.method, request.path, request.authority, (*request.pairs,), request.index.copy())
        else:
            self._same = data
            self._said = None

    def _repeat(self, method: str, path: str, host: str, pairs: tuple[Pair, ...], index: dict[str, str]) -> None:
        """The same head once more, as probes, pollers and load generators send: it was read before."""
        self._begin(RequestHeaders(method, path, host, [*pairs], index.copy()), host)

    def _begin(self, request: RequestHeaders, host: str | None) -> None:
        self.requests += 1
        manager = self.manager
        stream = self.stream = manager.start(self, self.connection, request)
        end = not self._left
        if self.http10:
            stream.protocol = "HTTP/1.0"
        if host is None:
            request.has_authority = False
            request.scheme = ""
            self._note_end(stream, end)
            stream.reply(LocalReply(400, b"", "missing_host_header"))
        elif request.method == "QUERY" and "content-type" not in request.index:
            # Content whose type is not told means nothing (draft-ietf-httpbis-safe-method-w-body §2).
            self._note_end(stream, end)
            stream.reply(LocalReply(400, b"", "query_missing_content_type"))
        else:
            manager.run(stream, end)

    def _note_end(self, stream: Stream, end: bool) -> None:
        """For a request that is refused before it is run."""
        if end:
            stream.request_complete = True
            stream.request_done_at = stream.last_activity

    def _settle(self, line: RequestLine, request: RequestHeaders, host: str | None, lines: list[str]) -> str | None:
        """What most requests do not need: other versions and targets, repeated headers, spelling. The host, if any."""
        options = self.manager.http1
        if len(lines) - 1 > options.max_headers:
            raise CodecError("http1.too_many_headers", 431)
        if "host" in request.index:
            if host is not None or len(request.get_all("host")) > 1:
                # RFC 9112 §3.2: a server MUST refuse it. Envoy joins the values; this is stricter on purpose.
                raise CodecError("http1.codec_error")
            host = request.index["host"]
            request.remove("host")
        if line.method not in METHODS and not options.allow_custom_methods:
            raise CodecError("http1.codec_error")
        if len(request.index) != len(request.pairs):
            request.replace(join_inline(request.pairs, INLINE_REQUEST))
        if options.underscores != "allow":
            self._judge_underscores(request, options.underscores)
        if options.key_format == "preserve":
            request.spelling = spelling_of(lines[1:])
        http10 = line.version == "HTTP/1.0"
        if http10 and not options.accept_http_10:
            raise CodecError("low_version", 426)
        self.http10 = http10
        self._unusual = http10 or options.unusual or self.leaving
        self.keep_alive = self.keep_alive and not http10
        self._asked_close = http10
        if line.authority is not None and not options.allow_absolute_url and line.scheme is not None:
            # The target is taken for a path, which it is not: the manager answers.
            request.path = line.target
        elif line.authority is not None:
            host = line.authority
            request.scheme = line.scheme or request.scheme
        elif host is None and http10 and options.default_host_for_http_10:
            host = options.default_host_for_http_10
        request.authority = host or ""
        return host

    def _judge_underscores(self, request: RequestHeaders, action: str) -> None:
        """headers_with_underscores_action: other servers may take `_` for `-` and so see another header."""
        bad = frozenset(name for name in request.index if "_" in name)
        if not bad:
            return
        if action == "reject":
            self.manager.http1_stats.requests_rejected_with_underscores_in_headers += 1
            raise CodecError("http1.unexpected_underscore")
        self.manager.http1_stats.dropped_headers_with_underscores += len(bad)
        request.remove_if(bad)

    def _frame(self, request: RequestHeaders) -> bool:
        """Body length and persistence (RFC 9112 §6.3, §9.3); removes what is the connection's alone.

        True where Connection names Host, which then counts as absent.
        """
        index = request.index
        options = self.manager.http1
        connection = index.get("connection")
        if connection is not None:
            if has_token(connection, "close"):
                self.keep_alive = False
                self._asked_close = True
            elif self.http10 and has_token(connection, "keep-alive"):
                self.keep_alive = True
                self._asked_close = False
        elif "proxy-connection" in index and has_token(index["proxy-connection"], "close"):
            self.keep_alive = False
            self._asked_close = True
        coding = index.get("transfer-encoding")
        length = index.get("content-length")
        if coding is not None:
            if length is not None:
                if not options.allow_chunked_length:
                    raise CodecError("http1.content_length_and_chunked_not_allowed")
                request.remove("content-length")
            if lower_ascii(coding) != "chunked" or request.method == "CONNECT":
                raise CodecError("http1.invalid_transfer_encoding", 501)
            self._left = _CHUNKED
            self._decoder = ChunkedDecoder()
        elif length is not None:
            self._left = CONTENT_LENGTHS[length]
            if self._left and request.method == "CONNECT":
                raise CodecError("http1.body_disallowed")
        if options.ignored_upgrades and "upgrade" in index:
            drop_upgrades(request, options.ignored_upgrades)
        host_removed = sanitize_request(request)
        if request.protocol is not None:
            self._left = HELD
        expect = request.index.get("expect")
        if expect is not None and lower_ascii(expect) == "100-continue" and not self.manager.proxy_100_continue:
            request.remove("expect")
            self.manager.count(100)
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return host_removed

    def _read_body(self, data: bytes) -> bytes:
        left = self._left
        if left == _CHUNKED:
            return self._read_chunked(data)
        stream = self.stream
        if left == HELD:
            self._hold(data)
            return b""
        if left == TUNNEL:
            if stream is not None:
                stream.last_activity = self.manager.loop.time()
                stream.receive_data(data, False)
            return b""
        rest = b""
        if len(data) > left:
            data, rest = data[:left], data[left:]
        self._left = left - len(data)
        if stream is not None:
            stream.last_activity = self.manager.loop.time()
            stream.receive_data(data, not self._left)
        return rest

    def _read_chunked(self, data: bytes) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        body, ended, rest = decoder.feed(data)
        if ended:
            self._left = 0
            self._decoder = None
        stream = self.stream
        if stream is not None and (body or ended):
            self._receive(stream, body, ended, decoder)
        if decoder.error is not None:
            raise decoder.error
        return rest

    def _receive(self, stream: Stream, body: bytes, ended: bool, decoder: ChunkedDecoder) -> None:
        stream.last_activity = self.manager.loop.time()
        if ended and decoder.trailers and self.manager.http1.enable_trailers:
            if body:
                stream.receive_data(body, False)
            stream.receive_trailers(Headers(decoder.trailers))
        else:
            stream.receive_data(body, ended)

    def _refuse(self, error: CodecError) -> None:
        """The client broke the protocol: Envoy's answer, and the end of the connection."""
        self.manager.stats.downstream_cx_protocol_error += 1
        self._left = 0
        self.keep_alive = False
        self._asked_close = False
        stream = self.stream
        if stream is None:
            stream = self.start_nameless()
        if self.connection.record is not None:
            self.connection.record.add_flag("DPE")
        if stream.response is not None:
            stream.add_flag("DPE")
            stream.details = error.details
            stream.reset()
            return
        reason = REASONS[error.status].encode()
        stream.reply(LocalReply(error.status, reason, error.details, flag="DPE", close=True))

    def start_nameless(self) -> Stream:
        """A stream for a request whose head could not be read: it is counted and logged as the others are."""
        self.stream = self.manager.start(self, self.connection, nameless_request())
        return self.stream

    # ---- the connection ----

    # It carries one exchange at a time.
    multiplexes = False

    @property
    def carrier(self) -> "Http1Server":
        """What carries a stream's bytes: here it is one at a time, and the same thing."""
        return self

    @property
    def socket_transport(self) -> Any:
        """The transport as it was given."""
        return self.transport

    def exchanges(self) -> list[Stream]:
        """Those that are not over."""
        return [] if self.stream is None else [self.stream]

    @property
    def spoke(self) -> bool:
        """Whether a request has come."""
        return self.requests > 0

    def unsent_of(self, stream: Stream) -> int:
        """Bytes that wait to be written for it."""
        size: int = self.transport.get_write_buffer_size()
        return size

    def end_drain(self) -> None:
        """The time of a connection that drains is up."""
        if self.stream is None:
            self.connection.local_close_reason = "deferred_close_on_drained_connection"
            self.close(delayed=True)
        else:
            self.drain()

    def _accept_tunnel(self) -> None:
        super()._accept_tunnel()
        if self._waits:
            self._waits = False
            self._resume()
        if self._buffer and not self._feeding:
            # Behind the head that is being written.
            self.manager.loop.call_soon(self._feed_buffer)

    def reset(self, stream: Stream) -> None:
        """Cuts the connection: the client must not take the response for whole."""
        self.flush(stream)
        self.keep_alive = False

    def pause_reading(self, stream: Stream) -> None:
        self._pauses += 1
        if not self.closing and self._pauses == 1:
            self.transport.pause_reading()
            self.manager.time.paused.discard(self)
            self.manager.time.paused.add(self)

    @property
    def paused(self) -> bool:
        """Whether somebody wants no more from this client for now."""
        return self._pauses > 0

    def resume_reading(self, stream: Stream) -> None:
        if self._pauses:
            self._pauses -= 1
            self._resume()

    def drain(self) -> None:
        # It is we who want the end, whatever the client asked for: it may still be sending.
        self.keep_alive = self._asked_close = False

    def leave(self) -> None:
        self.leaving = self._unusual = True

    def release(self, stream: Stream) -> None:
        """The stream is over: the next request, or the end of the connection."""
        if self.stream is not stream:
            return
        self.stream = None
        self.last_activity = self.manager.loop.time()
        if not self.keep_alive:
            # A client that has sent its whole request and is told of the end loses nothing by it.
            self.connection.local_close_reason = "deferred_close_on_drained_connection"
            told = self._asked_close or (stream.close_after and stream.request_complete)
            self.close(delayed=not told)
            return
        if self._pauses or self._waits:
            self._pauses = 0
            self._waits = False
            self._resume()
        if self._buffer and not self._feeding:
            self._feed_buffer()

    def close(self, delayed: bool) -> None:
        """See `close_connection`."""
        if not self.closing:
            self._buffer = b""
            close_connection(self, delayed)

    def _feed_buffer(self) -> None:
        data, self._buffer = self._buffer, b""
        if data and not self.closing:
            self._feed(data)

    def _resume(self) -> None:
        if not self.closing and not self._pauses and not self._waits:
            self.transport.resume_reading()
