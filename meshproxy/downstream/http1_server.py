"""One HTTP/1 connection from a client: bytes on a socket to streams, one after the other (RFC 9112)."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from meshproxy.http.chunked import ChunkedDecoder
from meshproxy.http.errors import CodecError
from meshproxy.http.filter import LocalReply
from meshproxy.http.h1 import HEADER_LINES, INLINE_REQUEST, REQUEST_LINES, join_inline, write_head
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.http.stream import Stream

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager
    from meshproxy.net.connection import Connection

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {status: f"HTTP/1.1 {status} {reason}" for status, reason in _REASONS.items()}
_CHUNKED = -1
_TUNNEL = -2
_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "expect"})
_FRAMING = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "expect", "te",
                      "content-length", "host"})  # fmt: skip


class Http1Server(asyncio.Protocol):
    """Reads heads and bodies, writes answers; requests that come early wait their turn."""

    __slots__ = (
        "_buffer", "_chunked_out", "_decoder", "_feeding", "_left", "_paused", "closing", "connection", "http10",
        "keep_alive", "manager", "stream", "transport",
    )  # fmt: skip

    def __init__(self, manager: "HttpManager", connection: "Connection") -> None:
        self.manager = manager
        self.connection = connection
        self.transport: Any = None
        self.stream: Stream | None = None
        self.closing = False
        self.keep_alive = True
        self.http10 = False
        self._buffer = b""
        # Request body bytes still to come; _CHUNKED, _TUNNEL; 0: a head is expected.
        self._left = 0
        self._decoder: ChunkedDecoder | None = None
        self._chunked_out = False
        self._feeding = False
        self._paused = False

    # ---- the transport's callbacks ----

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=self.manager.buffer_limit)
        self.manager.connection_made(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.closing = True
        stream = self.stream
        if stream is not None:
            stream.receive_reset("DC", "downstream_remote_disconnect")
        self.manager.connection_lost(self)

    def eof_received(self) -> bool:
        stream = self.stream
        if stream is None:
            return False
        if self._left == _TUNNEL:
            stream.receive_data(b"", True)
            return True
        # A client that has closed its half gets no answer from Envoy's HTTP/1 codec either: the exchange ends here.
        return False

    def pause_writing(self) -> None:
        if self.stream is not None:
            self.manager.terminal.pause_reading(self.stream)

    def resume_writing(self) -> None:
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
        try:
            while data and not self.closing:
                if self._left:
                    data = self._read_body(data)
                elif self.stream is None:
                    rest = self._read_head(data)
                    if rest is None:
                        self._buffer = data
                        break
                    data = rest
                else:
                    self._hold_early(data)
                    break
        except CodecError as error:
            self._refuse(error)
        finally:
            self._feeding = False

    def _hold_early(self, data: bytes) -> None:
        """A pipelined request while the one before is not answered."""
        self._buffer = data
        if len(data) > self.manager.max_request_head and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def _read_head(self, data: bytes) -> bytes | None:
        """The bytes behind the head, or None while it is not complete."""
        end = data.find(b"\r\n\r\n")
        manager = self.manager
        if end < 0 or end > manager.max_request_head:
            if len(data) > manager.max_request_head:
                raise CodecError("http1.headers_too_large", 431)
            return None
        lines = data[:end].decode("latin-1").split("\r\n")
        method, target, minor = REQUEST_LINES[lines[0]]
        pairs = [HEADER_LINES[line] for line in lines[1:]]
        if len(pairs) > manager.max_request_headers:
            raise CodecError("http1.too_many_headers", 431)
        request = RequestHeaders(method, target, "", pairs)
        index = request.index
        if len(index) != len(pairs):
            request.pairs = pairs = join_inline(pairs, INLINE_REQUEST)
        host = index.get("host")
        self.http10 = not minor
        self.keep_alive = bool(minor)
        self._left = 0
        if not _FRAMING.isdisjoint(index):
            self._frame(request)
        request.authority = host or ""
        stream = manager.start(self, self.connection, request, not self._left)
        self.stream = stream
        if host is None:
            stream.close_after = True
            stream.reply(LocalReply(400, b"", "missing_host_header"))
        else:
            manager.run(stream, not self._left)
        return data[end + 4 :]

    def _frame(self, request: RequestHeaders) -> None:
        """Body length and persistence (RFC 9112 §6.3, §9.3); removes what is the connection's alone."""
        index = request.index
        coding = index.get("transfer-encoding")
        length = index.get("content-length")
        if coding is not None:
            if length is not None:
                raise CodecError("http1.content_length_and_chunked_not_allowed")
            if coding.lower() != "chunked":
                raise CodecError("http1.invalid_transfer_encoding", 501)
            self._left = _CHUNKED
            self._decoder = ChunkedDecoder()
        elif length is not None:
            if not (length.isascii() and length.isdigit()):
                raise CodecError("http1.codec_error")
            self._left = int(length)
        connection = index.get("connection")
        if connection is not None:
            tokens = connection.lower()
            if "close" in tokens:
                self.keep_alive = False
            elif self.http10 and "keep-alive" in tokens:
                self.keep_alive = True
        if "expect" in index and index["expect"].lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.pairs = [pair for pair in request.pairs if pair[0] not in _HOP and pair[0] != "host"]
        request._index = None

    def _read_body(self, data: bytes) -> bytes:
        stream = self.stream
        left = self._left
        rest = b""
        if left == _CHUNKED:
            return self._read_chunked(data)
        if left == _TUNNEL:
            if stream is not None:
                stream.receive_data(data, False)
            return b""
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
            stream.last_activity = self.manager.loop.time()
            stream.receive_data(body, ended)
        return rest

    def _refuse(self, error: CodecError) -> None:
        """The client broke the protocol: Envoy's answer, and the end of the connection."""
        self.manager.stats.downstream_cx_protocol_error += 1
        self._left = 0
        stream = self.stream
        if stream is None:
            request = RequestHeaders("", "", "", [])
            stream = self.stream = self.manager.start(self, self.connection, request, True)
        self.keep_alive = False
        if stream.response is not None:
            stream.receive_reset("DPE", error.details)
            self._close()
            return
        body = _REASONS[error.status].encode()
        stream.reply(LocalReply(error.status, body, error.details, flag="DPE", close=True))

    # ---- the response (ServerSide) ----

    def send_headers(self, stream: Stream, headers: ResponseHeaders, end: bool) -> None:
        status = headers.status
        pairs = headers.pairs
        if stream.close_after or not self.keep_alive or not stream.request_complete:
            self.keep_alive = False
            pairs = [*pairs, ("connection", "close")]
        elif self.http10:
            pairs = [*pairs, ("connection", "keep-alive")]
        self._chunked_out = False
        if end:
            if status >= 200 and status != 204 and status != 304 and stream.request.method != "HEAD":
                if "content-length" not in headers.index:
                    pairs = [*pairs, ("content-length", "0")]
        elif status == 101:
            self._left = _TUNNEL
            self.keep_alive = False
        elif "content-length" not in headers.index and not self.http10:
            self._chunked_out = True
            pairs = [*pairs, ("transfer-encoding", "chunked")]
        first = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} {headers.reason or 'Unknown'}"
        if self.http10:
            first = "HTTP/1.0" + first[8:]
        self._write(write_head(first, pairs))

    def send_informational(self, stream: Stream, headers: ResponseHeaders) -> None:
        self._write(write_head(f"HTTP/1.1 {headers.status} {headers.reason or ''}", headers.pairs))

    def send_data(self, stream: Stream, data: bytes, end: bool) -> None:
        if self._chunked_out:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if end:
                data += b"0\r\n\r\n"
        if data:
            self._write(data)

    def send_trailers(self, stream: Stream, trailers: Headers) -> None:
        if self._chunked_out:
            self._write(b"0\r\n\r\n")

    def reset(self, stream: Stream) -> None:
        self.keep_alive = False

    def pause_reading(self, stream: Stream) -> None:
        if not self.closing:
            self.transport.pause_reading()

    def resume_reading(self, stream: Stream) -> None:
        if not self.closing:
            self.transport.resume_reading()

    def release(self, stream: Stream) -> None:
        """The stream is over: the next request, or the end of the connection."""
        if self.stream is not stream:
            return
        self.stream = None
        if not self.keep_alive:
            self._close()
            return
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        if self._buffer and not self._feeding:
            data, self._buffer = self._buffer, b""
            self._feed(data)

    def _write(self, data: bytes) -> None:
        self.manager.stats.downstream_cx_tx_bytes_total += len(data)
        self.transport.write(data)

    def _close(self) -> None:
        if not self.closing:
            self.closing = True
            self.transport.close()
