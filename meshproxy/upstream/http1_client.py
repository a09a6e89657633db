"""One HTTP/1.1 connection to an upstream: bytes on a socket, one exchange at a time (RFC 9112)."""

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from meshproxy.http.chunked import ChunkedDecoder
from meshproxy.http.errors import CodecError
from meshproxy.http.failures import CONNECTION_TERMINATED, PROTOCOL_ERROR, Failure
from meshproxy.http.h1 import HEADER_LINES, INLINE_RESPONSE, join_inline, parse_status_line, write_head
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders

if TYPE_CHECKING:
    from meshproxy.upstream.http1_pool import Http1Pool

_UNTIL_CLOSE = -2
_CHUNKED = -1
# Headers that belong to the connection to the upstream, not to the response.
_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding"})


class Exchange(Protocol):
    """What a client connection tells the attempt that it serves."""

    def on_informational(self, headers: ResponseHeaders) -> None: ...
    def on_headers(self, headers: ResponseHeaders, end: bool) -> None: ...
    def on_data(self, data: bytes, end: bool) -> None: ...
    def on_trailers(self, trailers: Headers) -> None: ...
    def on_reset(self, failure: Failure, reason: str) -> None: ...
    def on_write_paused(self) -> None: ...
    def on_write_resumed(self) -> None: ...


class Http1Client(asyncio.Protocol):
    """`pool` hands it exchanges one at a time; it goes back to the pool by `pool.release`."""

    __slots__ = (
        "_chunked", "_decoder", "_head_only", "_left", "_partial", "_request_done", "_upgrading", "attempt", "closing",
        "connected_at", "last_used", "max_head", "peer", "pool", "requests", "response_started", "transport", "tunnel",
    )  # fmt: skip

    def __init__(self, pool: "Http1Pool") -> None:
        self.pool = pool
        self.transport: Any = None
        self.attempt: Exchange | None = None
        self.requests = 0
        self.closing = False
        self.tunnel = False
        self.response_started = False
        self.connected_at = 0.0
        self.last_used = 0.0
        self.max_head = pool.settings.max_response_head
        self._partial = b""
        self._decoder: ChunkedDecoder | None = None
        # Body bytes still to come; _CHUNKED, _UNTIL_CLOSE; None: a head is expected.
        self._left: int | None = None
        self._head_only = False
        self._chunked = False
        self._request_done = True
        self._upgrading = False

    # ---- the request ----

    def send_headers(self, attempt: Exchange, request: RequestHeaders, end: bool) -> None:
        self.attempt = attempt
        self.requests += 1
        self.response_started = False
        self._request_done = end
        self._head_only = request.method == "HEAD"
        self._upgrading = request.protocol is not None or request.method == "CONNECT"
        pairs = request.pairs
        self._chunked = False
        if not end and not self._upgrading and "content-length" not in request.index:
            self._chunked = True
            pairs = [*pairs, ("transfer-encoding", "chunked")]
        head = write_head(f"{request.method} {request.path} HTTP/1.1\r\nhost: {request.authority}", pairs)
        self.pool.cluster.stats.upstream_cx_tx_bytes_total += len(head)
        self.transport.write(head)

    def send_data(self, data: bytes, end: bool) -> None:
        if self._chunked:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if end:
                data += b"0\r\n\r\n"
        if end:
            self._request_done = True
        if data:
            self.pool.cluster.stats.upstream_cx_tx_bytes_total += len(data)
            self.transport.write(data)
        if end and self.tunnel:
            self.transport.write_eof()

    def send_trailers(self, trailers: Headers) -> None:
        self._request_done = True
        if self._chunked:
            lines = "".join([f"{name}: {value}\r\n" for name, value in trailers.pairs])
            self.transport.write(f"0\r\n{lines}\r\n".encode("latin-1"))

    def abandon(self) -> None:
        """The exchange is over before its end: the connection is of no further use."""
        self.attempt = None
        self.close()

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.transport.close()

    def pause_reading(self) -> None:
        if not self.closing:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self.closing:
            self.transport.resume_reading()

    # ---- the transport's callbacks ----

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=self.pool.settings.buffer_limit)

    def connection_lost(self, error: Exception | None) -> None:
        self.closing = True
        attempt, self.attempt = self.attempt, None
        # The pool counts the end of the connection before the attempt may ask it for another one.
        self.pool.lost(self, attempt is not None)
        if attempt is None:
            return
        if self._left == _UNTIL_CLOSE and error is None:
            attempt.on_data(b"", True)
        elif self.response_started:
            attempt.on_reset(PROTOCOL_ERROR if self._left == _CHUNKED or self._left else CONNECTION_TERMINATED, "")
        else:
            attempt.on_reset(CONNECTION_TERMINATED, "")

    def eof_received(self) -> bool:
        if self.tunnel and self.attempt is not None:
            self.attempt.on_data(b"", True)
            return True
        return False

    def pause_writing(self) -> None:
        self.pool.cluster.stats.upstream_flow_control_backed_up_total += 1
        if self.attempt is not None:
            self.attempt.on_write_paused()

    def resume_writing(self) -> None:
        self.pool.cluster.stats.upstream_flow_control_drained_total += 1
        if self.attempt is not None:
            self.attempt.on_write_resumed()

    def data_received(self, data: bytes) -> None:
        self.pool.cluster.stats.upstream_cx_rx_bytes_total += len(data)
        if self.attempt is None:
            # Bytes that nobody asked for: an upstream that is out of step must not serve the next request.
            if not self.closing:
                self.pool.cluster.stats.upstream_cx_protocol_error += 1
                self.close()
            return
        if self._partial:
            data = self._partial + data
            self._partial = b""
        try:
            while data and self.attempt is not None:
                data = self._read_head(data) if self._left is None else self._read_body(data)
        except CodecError:
            self.pool.cluster.stats.upstream_cx_protocol_error += 1
            self._fail(PROTOCOL_ERROR)
            return
        if data and self.attempt is None:
            self.close()

    # ---- the response ----

    def _fail(self, failure: Failure) -> None:
        attempt, self.attempt = self.attempt, None
        self.close()
        if attempt is not None:
            attempt.on_reset(failure, "")

    def _read_head(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > self.max_head:
            if len(data) > self.max_head:
                raise CodecError("http1.headers_too_large")
            self._check_start(data)
            self._partial = data
            return b""
        lines = data[:end].decode("latin-1").split("\r\n")
        status, reason, minor = parse_status_line(lines[0])
        pairs = [HEADER_LINES[line] for line in lines[1:]]
        headers = ResponseHeaders(status, pairs, reason)
        if len(headers.index) != len(pairs):
            headers = ResponseHeaders(status, join_inline(pairs, INLINE_RESPONSE), reason)
        rest = data[end + 4 :]
        attempt = self.attempt
        assert attempt is not None
        if status < 200 and status != 101:
            attempt.on_informational(headers)
            return rest
        self.response_started = True
        self._frame(headers, minor)
        if self._left == 0:
            self._finish(attempt, headers)
        else:
            attempt.on_headers(headers, False)
        return rest

    def _check_start(self, data: bytes) -> None:
        if not b"HTTP/1.".startswith(data[:7]):
            raise CodecError("http1.codec_error")

    def _frame(self, headers: ResponseHeaders, minor: int) -> None:
        """How long the body is (RFC 9112 §6.3), and whether the connection may serve again."""
        index = headers.index
        status = headers.status
        length = index.get("content-length")
        coding = index.get("transfer-encoding")
        connection = index.get("connection", "").lower()
        keep = "close" not in connection if minor else "keep-alive" in connection
        if status == 101 or (self._upgrading and 200 <= status < 300 and self.is_connect()):
            self._left, self.tunnel, keep = _UNTIL_CLOSE, True, False
        elif self._head_only or status in (204, 304):
            self._left = 0
        elif coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise CodecError("http1.invalid_transfer_encoding")
            self._left = _CHUNKED
            self._decoder = ChunkedDecoder()
        elif length is not None:
            if not (length.isascii() and length.isdigit()):
                raise CodecError("http1.codec_error")
            self._left = int(length)
        else:
            self._left, keep = _UNTIL_CLOSE, False
        if not _HOP.isdisjoint(index):
            headers.remove_if(_HOP)
        self.closing = self.closing or False
        if not keep:
            self.pool.retire(self)

    def is_connect(self) -> bool:
        return self._upgrading

    def _read_body(self, data: bytes) -> bytes:
        attempt = self.attempt
        assert attempt is not None
        left = self._left
        if left == _UNTIL_CLOSE:
            attempt.on_data(data, False)
            return b""
        if left == _CHUNKED:
            return self._read_chunked(attempt, data)
        assert left is not None
        rest = b""
        if len(data) > left:
            data, rest = data[:left], data[left:]
        self._left = left - len(data)
        if self._left:
            attempt.on_data(data, False)
        else:
            self._finish(attempt, data)
        return rest

    def _read_chunked(self, attempt: Exchange, data: bytes) -> bytes:
        decoder = self._decoder
        assert decoder is not None
        body, ended, rest = decoder.feed(data)
        if not ended:
            if body:
                attempt.on_data(body, False)
            return b""
        if decoder.trailers:
            if body:
                attempt.on_data(body, False)
            self._finish(attempt, Headers(decoder.trailers))
        else:
            self._finish(attempt, body)
        return rest

    def _finish(self, attempt: Exchange, last: "bytes | Headers") -> None:
        """The response is whole: the connection is free before the last piece goes on, so that it can be used at once."""
        self.attempt = None
        self._left = None
        self._decoder = None
        if self._request_done:
            self.pool.release(self)
        else:
            self.pool.retire(self)
            self.close()
        if isinstance(last, bytes):
            attempt.on_data(last, True)
        elif isinstance(last, ResponseHeaders):
            attempt.on_headers(last, True)
        else:
            attempt.on_trailers(last)
