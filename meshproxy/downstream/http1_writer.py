"""What an HTTP/1 connection writes to its client: heads, bodies and their framing (RFC 9112 §6, §7)."""

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from meshproxy.http.h1_head import format_pairs, write_head
from meshproxy.http.headers import Headers, Pair, ResponseHeaders
from meshproxy.http.meter import Meter
from meshproxy.http.stream import Stream

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager

REASONS = {status.value: status.phrase for status in HTTPStatus}
# What Envoy calls them, where that differs.
REASONS |= {
    103: "Unknown",
    413: "Payload Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 418: "Unknown", 451: "Unknown",
    599: "Last Unassigned Server Error Code",
}  # fmt: skip
_STATUS_LINES = {status: f"HTTP/1.1 {status} {reason}" for status, reason in REASONS.items()}
# What of a request is still to come: bytes of an upgrade or CONNECT are held until it is accepted, then handed on.
HELD = -2
TUNNEL = -3
# A head and a body up to this size are joined; larger ones are handed to the socket as two pieces.
_JOIN_LIMIT = 16 * 1024


class Http1Writer(asyncio.Protocol):
    """The answering half of `Http1Server`; what faces the stream is `ServerSide` (http/stream.py)."""

    __slots__ = (
        "_chunked_out", "_head", "_left", "_unusual", "http10", "keep_alive", "leaving", "manager",
        "transport",
    )  # fmt: skip

    # What the exchange has put on the wire; only where that is counted (http1_metered.py).
    meter: Meter | None = None

    def __init__(self, manager: "HttpManager") -> None:
        self.manager = manager
        self.transport: Any = None
        self.keep_alive = True
        # The request came as HTTP/1.0, and so goes the response.
        self.http10 = False
        # The connection drains: responses say that it ends, and it serves on until the client goes or time is up.
        self.leaving = False
        # Exchanges need a second look: names are spelled as they came, the last request was HTTP/1.0, or it drains.
        self._unusual = manager.http1.unusual
        # Request body bytes still to come, or what they are instead (below 0); 0: a head is expected.
        self._left = 0
        self._chunked_out = False
        # A response's head that waits for the first of its body, so that both go in one write.
        self._head = b""

    def _accept_tunnel(self) -> None:
        """From here on bytes go through as they are."""
        self._left = TUNNEL
        self.keep_alive = False

    def send_headers(self, stream: Stream, headers: ResponseHeaders, end: bool) -> None:
        self._chunked_out = False
        status = headers.status
        pairs = headers.pairs
        if self._left == HELD and (status == 101 or (stream.request.method == "CONNECT" and 200 <= status < 300)):
            self._accept_tunnel()
            self.manager.tunnel_accepted(stream)
        else:
            if self.http10 and not end and "content-length" not in headers.index:
                # Its end is that of the connection.
                stream.close_after = True
            pairs = self._say_persistence(stream, pairs)
            pairs = self._say_length(stream, headers, pairs, end)
        options = self.manager.http1
        if headers.spelling is not None or options.key_format:
            pairs = format_pairs(headers, pairs, options)
        head = write_head(self._status_line(headers), pairs)
        if end or self._left == TUNNEL:
            self._write(head)
        else:
            self._head = head

    def send_response(self, stream: Stream, headers: ResponseHeaders, body: bytes) -> None:
        if "content-length" not in headers.index or self._left:
            self.send_headers(stream, headers, not body)
            if body:
                self.send_data(stream, body, True)
            return
        first = _STATUS_LINES.get(headers.status)
        if (
            first is None or stream.close_after or not self.keep_alive or not stream.request_complete
            or self._unusual or headers.spelling is not None
        ):  # fmt: skip
            pairs = self._say_persistence(stream, headers.pairs)
            head = write_head(self._status_line(headers), format_pairs(headers, pairs, self.manager.http1))
        else:
            head = write_head(first, headers.pairs)
        self.manager.stats.downstream_cx_tx_bytes_total += len(head) + len(body)
        if len(body) > _JOIN_LIMIT:
            self.transport.writelines((head, body))
        else:
            self.transport.write(head + body)

    def _say_persistence(self, stream: Stream, pairs: list[Pair]) -> list[Pair]:
        if stream.close_after or not self.keep_alive or not stream.request_complete:
            self.keep_alive = False
            return [*pairs, ("connection", "close")]
        if self.leaving:
            return [*pairs, ("connection", "close")]
        return [*pairs, ("connection", "keep-alive")] if self.http10 else pairs

    def _say_length(self, stream: Stream, headers: ResponseHeaders, pairs: list[Pair], end: bool) -> list[Pair]:
        """Frames the body (RFC 9112 §6.3); a response to HEAD says how one to GET would be framed."""
        status = headers.status
        if "content-length" in headers.index or status == 204 or status == 304 or status < 200:
            return pairs
        if end and stream.request.method != "HEAD":
            return [*pairs, ("content-length", "0")]
        if self.http10:
            return pairs
        self._chunked_out = True
        return [*pairs, ("transfer-encoding", "chunked")]

    def _status_line(self, headers: ResponseHeaders) -> str:
        status = headers.status
        if headers.reason and self.manager.http1.forward_reason_phrase:
            line = f"HTTP/1.1 {status} {headers.reason}"
        else:
            line = _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown"
        return "HTTP/1.0" + line[8:] if self.http10 else line

    def send_informational(self, stream: Stream, headers: ResponseHeaders) -> None:
        if not self.http10:
            self._write(write_head(self._status_line(headers), headers.pairs))

    def send_data(self, stream: Stream, data: bytes, end: bool) -> None:
        if self._chunked_out:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if end:
                data += b"0\r\n\r\n"
        head = self._head
        if head:
            self._head = b""
            if len(data) > _JOIN_LIMIT:
                self.manager.stats.downstream_cx_tx_bytes_total += len(head) + len(data)
                self.transport.writelines((head, data))
                return
            data = head + data
        if data:
            self._write(data)

    def flush(self, stream: Stream) -> None:
        """No body came with the head: the head goes alone."""
        head = self._head
        if head:
            self._head = b""
            self._write(head)

    def send_trailers(self, stream: Stream, trailers: Headers) -> None:
        self.flush(stream)
        if not self._chunked_out:
            return
        if not self.manager.http1.enable_trailers:
            self._write(b"0\r\n\r\n")
            return
        pairs = format_pairs(trailers, trailers.pairs, self.manager.http1)
        self._write(write_head("0", pairs))

    def _write(self, data: bytes) -> None:
        self.manager.stats.downstream_cx_tx_bytes_total += len(data)
        self.transport.write(data)
