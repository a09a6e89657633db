"""One HTTP/1.1 connection to an upstream: bytes on a socket, one exchange at a time (RFC 9112)."""

import asyncio
from typing import TYPE_CHECKING, Any

from meshproxy.http.chunked import ChunkedDecoder
from meshproxy.http.errors import CodecError
from meshproxy.http.failures import CONNECTION_TERMINATED, PROTOCOL_ERROR
from meshproxy.http.h1_head import (
    INLINE_RESPONSE,
    format_pairs,
    join_inline,
    parse_pairs,
    spelling_of,
    split_head,
    write_head,
)
from meshproxy.http.h1_lines import CONTENT_LENGTHS, HEADER_LINES, STATUS_LINES, IrregularLine, has_token, lower_ascii
from meshproxy.http.headers import Headers, Pair, RequestHeaders, ResponseHeaders
from meshproxy.net.connection import next_connection_id
from meshproxy.upstream.sides import Exchange

if TYPE_CHECKING:
    from meshproxy.upstream.http1_pool import Http1Pool

_CHUNKED = -1
_UNTIL_CLOSE = -2
# A head and a body up to this size are joined; larger ones are handed to the socket as two pieces.
_JOIN_LIMIT = 16 * 1024
# Headers that belong to the connection to the upstream, not to the response.
_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
# Requests that have no body unless they say so: no `content-length: 0` is added.
_BODILESS = frozenset({"GET", "HEAD", "DELETE", "TRACE", "CONNECT"})


class Http1Client(asyncio.Protocol):
    """Its pool hands it one exchange at a time.

    What it asks of the pool: `connected(client)` once when the socket is there, `release(client)` when an exchange
    ended and the connection can serve another one, and `lost(client, busy, local)` once when it is gone (local: closed
    from here).
    """

    __slots__ = (
        "_chunked", "_connect", "_decoder", "_head", "_head_only", "_keep", "_left", "_partial", "_paused",
        "_request_done", "_said", "_same", "_upgrading", "attempt", "closing", "connected_at", "cut", "dial",
        "dialled_at", "id", "last_used", "local", "pool", "requests", "response_started", "tls", "transport", "tunnel",
    )  # fmt: skip

    # %UPSTREAM_PROTOCOL%
    protocol = "HTTP/1.1"

    def __init__(self, pool: "Http1Pool") -> None:
        self.id = next_connection_id()
        self.pool = pool
        self.transport: Any = None
        self.attempt: Exchange | None = None
        self.requests = 0
        self.closing = False
        # Closed from here in the middle of an exchange.
        self.cut = False
        # An upgrade or CONNECT was accepted: bytes go through as they are.
        self.tunnel = False
        self.response_started = False
        # The pool's own notes: the task that connects, when it began and ended, the local address, TLS, when last free.
        self.dial: Any = None
        self.dialled_at = self.connected_at = 0.0
        self.local = ("", 0)
        self.tls: Any = None
        self.last_used = 0.0
        self._partial = b""
        self._decoder: ChunkedDecoder | None = None
        # Body bytes still to come; _CHUNKED, _UNTIL_CLOSE; None: a head is expected.
        self._left: int | None = None
        self._paused = False
        self._keep = True
        self._head_only = False
        self._chunked = False
        self._request_done = True
        # The last head; and, where it came twice in a row, what it says: upstreams repeat themselves too.
        self._same = b""
        self._said: tuple[int, str, tuple[Pair, ...], dict[str, str]] | None = None
        # A request's head that waits for the first of its body, so that both go in one write.
        self._head = b""
        self._upgrading = False
        self._connect = False

    @property
    def connection(self) -> "Http1Client":
        """It serves one exchange at a time, and is that exchange."""
        return self

    # ---- the request ----

    def send_headers(self, attempt: Exchange, request: RequestHeaders, end: bool) -> None:
        self.attempt = attempt
        self.requests += 1
        self.response_started = False
        self._request_done = end
        method = request.method
        pairs = request.pairs
        target = request.path
        self._head_only = self._chunked = False
        if not end or method != "GET" or request.protocol is not None:
            pairs = self._frame_request(request, end)
            if method == "CONNECT":
                target = request.authority
        options = self.pool.settings.http1
        if options.send_fully_qualified_url and method != "CONNECT":
            target = f"{request.scheme}://{request.authority}{target}"
        if options.key_format or request.spelling is not None:
            pairs = format_pairs(request, [("host", request.authority), *pairs], options)
            head = write_head(f"{method} {target} HTTP/1.1", pairs)
        else:
            head = write_head(f"{method} {target} HTTP/1.1\r\nhost: {request.authority}", pairs)
        if end or self._upgrading:
            self.pool.stats.upstream_cx_tx_bytes_total += len(head)
            self.transport.write(head)
        else:
            self._head = head

    def _frame_request(self, request: RequestHeaders, end: bool) -> list[Pair]:
        """What other requests than a plain GET need: how the body is framed, what the answer may be."""
        method = request.method
        self._head_only = method == "HEAD"
        self._connect = method == "CONNECT"
        self._upgrading = self._connect or request.protocol is not None
        if "content-length" in request.index:
            return request.pairs
        if end:
            return request.pairs if method in _BODILESS else [*request.pairs, ("content-length", "0")]
        if self._upgrading:
            return request.pairs
        self._chunked = True
        return [*request.pairs, ("transfer-encoding", "chunked")]

    def send_data(self, data: bytes, end: bool) -> None:
        if self._chunked:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if end:
                data += b"0\r\n\r\n"
        if end:
            self._request_done = True
        if self.closing:
            return
        head = self._head
        if head:
            self._head = b""
            if len(data) > _JOIN_LIMIT:
                self.pool.cluster.stats.upstream_cx_tx_bytes_total += len(head) + len(data)
                self.transport.writelines((head, data))
                return
            data = head + data
        if data:
            self._write(data)

    def flush(self) -> None:
        """No body came with the head: the head goes alone."""
        head = self._head
        if head and not self.closing:
            self._head = b""
            self._write(head)

    def send_trailers(self, trailers: Headers) -> None:
        self._request_done = True
        self.flush()
        if not self._chunked or self.closing:
            return
        options = self.pool.settings.http1
        pairs = format_pairs(trailers, trailers.pairs, options) if options.enable_trailers else []
        self._write(write_head("0", pairs))

    def abandon(self) -> None:
        """The exchange is over before its end: the connection is of no further use, nor is what it has not sent."""
        self.attempt = None
        self.cut = True
        if not self.closing:
            self.closing = True
            self.transport.abort()

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.transport.close()

    def pause_reading(self) -> None:
        if not self.closing:
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.closing:
            self._paused = False
            self.transport.resume_reading()

    def _write(self, data: bytes) -> None:
        self.pool.cluster.stats.upstream_cx_tx_bytes_total += len(data)
        self.transport.write(data)

    # ---- the transport's callbacks ----

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=self.pool.settings.buffer_limit)
        self.pool.connected(self)

    def connection_lost(self, error: Exception | None) -> None:
        local, self.closing = self.closing, True
        attempt, self.attempt = self.attempt, None
        whole = self._left == _UNTIL_CLOSE and error is None and not self.tunnel
        # The pool counts the end of the connection before the attempt may ask it for another one.
        self.pool.lost(self, self.cut or (attempt is not None and not whole), local)
        if attempt is None:
            return
        if whole:
            attempt.on_data(b"", True)
        elif (self.response_started or self._partial) and not self.tunnel:
            self.pool.cluster.stats.upstream_cx_protocol_error += 1
            attempt.on_reset(PROTOCOL_ERROR, "")
        else:
            attempt.on_reset(CONNECTION_TERMINATED, "")

    def pause_writing(self) -> None:
        self.pool.cluster.stats.upstream_flow_control_backed_up_total += 1
        if self.attempt is not None:
            self.attempt.on_write_paused()

    def resume_writing(self) -> None:
        self.pool.cluster.stats.upstream_flow_control_drained_total += 1
        if self.attempt is not None:
            self.attempt.on_write_resumed()

    def data_received(self, data: bytes) -> None:
        stats = self.pool.stats
        stats.upstream_cx_rx_bytes_total += len(data)
        if self.attempt is None:
            # Bytes that nobody asked for: an upstream that is out of step must not serve the next request.
            if not self.closing:
                stats.upstream_cx_protocol_error += 1
                self.close()
            return
        if self._partial:
            data = self._partial + data
            self._partial = b""
        try:
            while data and self.attempt is not None:
                data = self._read_head(data) if self._left is None else self._read_body(data)
        except CodecError:
            stats.upstream_cx_protocol_error += 1
            attempt = self.attempt
            self.abandon()
            attempt.on_reset(PROTOCOL_ERROR, "")
            return
        if self.attempt is not None and self.response_started:
            self.attempt.on_read()

    # ---- the response ----

    def _read_head(self, data: bytes) -> bytes:
        """The bytes behind the head; what is not yet a whole head is kept."""
        said = self._said
        if said is not None and data.startswith(self._same):
            status, reason, known, index = said
            headers = ResponseHeaders(status, [*known], reason, index.copy())
            return self._deliver(headers, True, data[len(self._same) :])
        end = data.find(b"\r\n\r\n")
        options = self.pool.settings.http1
        if 0 < end <= options.max_head:
            lines = data[:end].decode("latin-1").split("\r\n")
            try:
                status, reason, http11 = STATUS_LINES[lines[0]]
                pairs = [HEADER_LINES[text] for text in lines[1:]]
            except IrregularLine:
                pass
            else:
                if http11 and status >= 200:
                    self._remember(data[: end + 4], status, reason, pairs)
                return self._response(status, reason, http11, pairs, lines, data[end + 4 :])
        if not b"HTTP/".startswith(data[:5]):
            raise CodecError("http1.codec_error")
        head = split_head(data, options.max_head)
        if head is None:
            self._partial = data
            return b""
        lines, taken = head
        try:
            status, reason, http11 = STATUS_LINES[lines[0]]
        except IrregularLine:
            raise CodecError("http1.codec_error") from None
        return self._response(status, reason, http11, parse_pairs(lines[1:]), lines, data[taken:])

    def _response(
        self, status: int, reason: str, http11: bool, pairs: list[Pair], lines: list[str], rest: bytes
    ) -> bytes:
        options = self.pool.settings.http1
        if len(pairs) > options.max_headers:
            raise CodecError("http1.too_many_headers")
        index = dict(pairs)
        if len(index) == len(pairs):
            headers = ResponseHeaders(status, pairs, reason, index)
        else:
            headers = ResponseHeaders(status, join_inline(pairs, INLINE_RESPONSE), reason)
        if options.key_format == "preserve":
            headers.spelling = spelling_of(lines[1:])
        return self._deliver(headers, http11, rest)

    def _remember(self, head: bytes, status: int, reason: str, pairs: list[Pair]) -> None:
        """What a head says is kept once it came a second time in a row on this connection."""
        if head != self._same:
            self._same = head
            self._said = None
        elif len(index := dict(pairs)) == len(pairs) and not self.pool.settings.http1.key_format:
            self._said = (status, reason, (*pairs,), index)

    def _deliver(self, headers: ResponseHeaders, http11: bool, rest: bytes) -> bytes:
        """Hands a head on, and the body if it came whole; the bytes behind it."""
        status = headers.status
        attempt = self.attempt
        assert attempt is not None
        if status < 200 and status != 101:
            attempt.on_informational(headers)
            return rest
        self.response_started = True
        if self._frame(headers, http11):
            self._free(rest)
            attempt.on_response(headers, b"")
        elif self._left == len(rest):
            self._free(b"")
            attempt.on_response(headers, rest)
            return b""
        else:
            attempt.on_headers(headers, False)
        return rest

    def _frame(self, headers: ResponseHeaders, http11: bool) -> bool:
        """Learns how long the body is (RFC 9112 §6.3) and whether the connection can serve again; True: no body."""
        index = headers.index
        status = headers.status
        length = index.get("content-length")
        special = self._head_only or self._upgrading
        if status == 200 and length is not None and http11 and not special and _HOP.isdisjoint(index):
            self._keep = True
            left = self._left = CONTENT_LENGTHS[length]
            return not left
        coding = index.get("transfer-encoding")
        connection = index.get("connection")
        if connection is None:
            self._keep = http11
        else:
            self._keep = not has_token(connection, "close") if http11 else has_token(connection, "keep-alive")
        if self._upgrading and self._accepts_tunnel(status):
            self.tunnel = True
            self._left, self._keep = _UNTIL_CLOSE, False
            if status == 101:
                return False
        elif status in (101, 204, 304) or self._head_only:
            if status == 204 and (coding is not None or length not in (None, "0")):
                raise CodecError("http1.codec_error")
            if status == 204:
                headers.remove("content-length")
            self._keep = self._keep and status != 101
            self._left = 0
        elif coding is not None:
            if lower_ascii(coding) != "chunked" or (length is not None):
                raise CodecError("http1.invalid_transfer_encoding")
            self._left = _CHUNKED
            self._decoder = ChunkedDecoder()
        elif length is not None:
            self._left = CONTENT_LENGTHS[length]
        else:
            self._left, self._keep = _UNTIL_CLOSE, False
        headers.remove_if(_HOP)
        return self._left == 0

    def _accepts_tunnel(self, status: int) -> bool:
        """101 to an upgrade, or 2xx to CONNECT."""
        return status == 101 or (self._connect and 200 <= status < 300)

    def _read_body(self, data: bytes) -> bytes:
        attempt = self.attempt
        left = self._left
        assert attempt is not None and left is not None
        if left == _UNTIL_CLOSE:
            attempt.on_data(data, False)
            return b""
        if left == _CHUNKED:
            return self._read_chunked(attempt, data)
        rest = b""
        if len(data) > left:
            data, rest = data[:left], data[left:]
        self._left = left - len(data)
        if self._left:
            attempt.on_data(data, False)
        else:
            self._finish(attempt, data, rest)
        return rest

    def _read_chunked(self, attempt: Exchange, data: bytes) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        body, ended, rest = decoder.feed(data)
        if not ended:
            if body:
                attempt.on_data(body, False)
            if decoder.error is not None:
                raise decoder.error
            return b""
        if decoder.trailers and self.pool.settings.http1.enable_trailers:
            if body:
                attempt.on_data(body, False)
            self._finish(attempt, Headers(decoder.trailers), rest)
        else:
            self._finish(attempt, body, rest)
        return rest

    def _finish(self, attempt: Exchange, last: bytes | Headers, rest: bytes = b"") -> None:
        """The last piece of a response."""
        self._free(rest)
        if isinstance(last, bytes):
            attempt.on_data(last, True)
        else:
            attempt.on_trailers(last)

    def _free(self, rest: bytes) -> None:
        """The response is whole: the connection is free before the last piece goes on, so it can be used at once."""
        self.attempt = None
        self._left = None
        self._decoder = None
        if self._paused:
            self.resume_reading()
        if self._keep and self._request_done and not rest and not self.closing:
            self.pool.release(self)
            return
        if rest:
            # Dropped, and the connection with them: its next answer could not be trusted.
            self.pool.cluster.stats.upstream_cx_protocol_error += 1
        self.cut = not self._request_done
        self.close()
