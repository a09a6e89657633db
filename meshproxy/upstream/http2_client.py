"""One HTTP/2 connection to an upstream, and the exchanges on it: a stream each (RFC 9113)."""

import asyncio
from typing import TYPE_CHECKING, Any

from meshproxy.http.failures import CONNECTION_TERMINATED, PROTOCOL_ERROR, Failure
from meshproxy.http.h2 import frames
from meshproxy.http.h2.connection import Http2Connection
from meshproxy.http.h2.errors import ConnectionBroken
from meshproxy.http.h2.heads import ResponseHead, parse_response
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Pair
from meshproxy.net.connection import next_connection_id
from meshproxy.upstream.http2_exchange import Http2Exchange

if TYPE_CHECKING:
    from meshproxy.upstream.http2_pool import Http2Pool


class Http2Client(Http2Connection):
    """Its pool gives it as many exchanges as `limit` allows.

    What it asks of the pool: `connected(client)` once when the socket is there, `stream_ended(client)` when one of its
    exchanges is over, `limit_changed(client)`, `going_away(client)`, and `lost(client, busy, local)` once when it is
    gone.
    """

    __slots__ = (
        "active", "connected_at", "dial", "dialled_at", "ended", "failure", "id", "is_ready", "last_used", "limit",
        "local", "pool", "requests", "tls", "touched",
    )  # fmt: skip

    exchange: type[Http2Exchange] = Http2Exchange
    # %UPSTREAM_PROTOCOL%
    protocol = "HTTP/2"

    def __init__(self, pool: "Http2Pool") -> None:
        settings = pool.settings
        super().__init__(settings.http2, pool.stats.http2, settings.buffer_limit, client=True)
        self.id = next_connection_id()
        self.pool = pool
        # Exchanges that are on, may be on at a time, and were on so far.
        self.active = 0
        self.limit = pool.limit
        self.requests = 0
        # Among the pool's `ready` ones.
        self.is_ready = False
        # The pool's own notes: see PooledConnection.
        self.dial: Any = None
        self.dialled_at = self.connected_at = self.last_used = 0.0
        self.local = ("", 0)
        self.tls: Any = None
        # Exchanges that heard something in the read that is being worked on.
        self.touched: list[Http2Exchange] = []
        # What exchanges are told that the end of the connection ends.
        self.failure: Failure = CONNECTION_TERMINATED
        self.ended = False

    # ---- the transport's callbacks ----

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.pool.connected(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.touched:
            touched, self.touched = self.touched, []
            for exchange in touched:
                exchange.read_ended()

    def connection_lost(self, error: Exception | None) -> None:
        local = self.closing
        super().connection_lost(error)
        self._end(local)

    # ---- what HTTP/2 tells ----

    def parse_head(self, pairs: list[Pair]) -> ResponseHead:
        return parse_response(pairs, self.options)

    def on_settings(self) -> None:
        self.limit = min(self.options.max_concurrent_streams, self.peer_max_streams)
        self.pool.limit_changed(self)

    def on_goaway(self, last: int, code: int, debug: bytes) -> None:
        """The peer has not seen the streams above `last`, and takes no new ones."""
        self.pool.going_away(self)
        for stream in [stream for stream_id, stream in self.streams.items() if stream_id > last]:
            self.forget(stream)
            stream.on_reset(frames.REFUSED_STREAM, True, "")

    def stream_closed(self, stream: Http2Stream) -> None:
        self.pool.stream_ended(self)

    def on_broken(self, error: ConnectionBroken) -> None:
        self.pool.stats.upstream_cx_protocol_error += 1
        self.failure = PROTOCOL_ERROR
        self.close()
        self._end(local=True)

    def on_ping_ack(self, data: bytes) -> None:
        if self.pool.keepalives is not None:
            self.pool.keepalives.answered(self)

    def not_there(self) -> None:
        """The peer has not answered a PING in time."""
        self.close()
        self._end(local=True)

    def close(self) -> None:
        """Nobody gets it from the pool any more. A peer that does not even read does not get the rest."""
        if not self.closing:
            self.pool.leave(self)
            super().close()
            if self.transport.get_write_buffer_size():
                self.transport.abort()

    def count_received(self, size: int) -> None:
        self.pool.stats.upstream_cx_rx_bytes_total += size

    def count_sent(self, size: int) -> None:
        self.pool.stats.upstream_cx_tx_bytes_total += size

    # ---- inside ----

    def _end(self, local: bool) -> None:
        """The connection is over; the pool knows before the exchanges, which may ask it for another one."""
        if self.ended:
            return
        self.ended = True
        self.pool.lost(self, self.active > 0 and self.failure is CONNECTION_TERMINATED, local)
        self._tell_streams()

    def _tell_streams(self) -> None:
        for stream in list(self.streams.values()):
            self.forget(stream)
            stream.on_reset(frames.NO_ERROR, False, "")

    def open(self, stream: Http2Stream) -> None:
        super().open(stream)
        if self.ended:
            # It ended while the attempt had something else to do.
            asyncio.get_running_loop().call_soon(self._tell_streams)
