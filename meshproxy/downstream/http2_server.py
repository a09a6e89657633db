"""One HTTP/2 connection from a client: frames on a socket to streams, many at a time (RFC 9113)."""

from typing import TYPE_CHECKING, Any

from meshproxy.downstream.closing import close_connection
from meshproxy.downstream.http2_exchange import Http2Exchange
from meshproxy.http.h2 import frames
from meshproxy.http.h2.connection import Http2Connection
from meshproxy.http.h2.errors import UNDERSCORE, ConnectionBroken, Flood, MessageInvalid
from meshproxy.http.h2.heads import RequestHead, parse_request
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Pair
from meshproxy.http.stream import Stream
from meshproxy.net.runtime import Runtime

if TYPE_CHECKING:
    from meshproxy.downstream.http_manager import HttpManager
    from meshproxy.net.connection import Connection

# What Envoy's codec says to its manager of most that a peer does wrong.
_CODEC_ERROR = "codec_error:The_user_callback_function_failed"


def cut_silent(server: Any) -> None:
    """A client does not answer PINGs (connection_keepalive)."""
    server.connection.local_close_reason = "http2_ping_timeout"
    server.abort()


class PrematureResets:
    """How many streams of a connection may be reset before their answer (Envoy's runtime overload.premature_reset_*).

    At `total` streams, or as soon as it cannot be otherwise any more, no half of them may have been reset before they
    had lived for more than `lifetime` whole seconds.
    """

    def __init__(self, runtime: Runtime | None = None) -> None:
        self._runtime = runtime or Runtime()

    def total(self) -> int:
        return self._runtime.integer("overload.premature_reset_total_stream_count", 500)

    def lifetime(self) -> int:
        return self._runtime.integer("overload.premature_reset_min_stream_lifetime_seconds", 1)


class Http2Server(Http2Connection):
    """What it asks of its manager: as Http1Server, and `http2` (Http2Options), `http2_stats`, `start_multiplexed`."""

    __slots__ = (
        "_closed_streams", "_ending", "_greeted", "_premature", "_told_off", "connection", "counted",
        "fresh", "last_activity", "leaving", "manager", "requests", "unfinished", "unsent",
    )  # fmt: skip

    exchange: type[Http2Exchange] = Http2Exchange
    multiplexes = True
    # Its reader is never stopped: that is what windows are for.
    paused = False

    def __init__(self, manager: "HttpManager", connection: "Connection") -> None:
        super().__init__(manager.http2, manager.http2_stats, manager.buffer_limit, client=False)
        self.manager = manager
        self.connection = connection
        self.requests = 0
        # Bytes that were not written when the connection was closed, or at the last look of the delayed close.
        self.unsent = 0
        # The manager has counted it as one that spoke HTTP/2.
        self.counted = False
        # GOAWAY was announced: it serves until the client goes or time is up.
        self.leaving = False
        # It closes with its last stream.
        self._ending = False
        # Exchanges whose heads came in the read that is being worked on, and that have not begun.
        self.fresh: list[Http2Exchange] = []
        # Exchanges of which something came in the read that is being worked on, and more is to come.
        self.unfinished: list[Http2Exchange] = []
        # A load shed point has told the client to go elsewhere.
        self._told_off = False
        # Something came, and our settings went out.
        self._greeted = False
        # Streams that were over, and those of them that the client had reset before there was an answer.
        self._closed_streams = self._premature = 0
        # Loop time at which the last exchange ended, or the connection began: for the idle timeout.
        self.last_activity = connection.started

    # ---- the transport's callbacks ----

    def connection_made(self, transport: Any) -> None:
        self.manager.connection_made(self)
        self.take(transport)

    def take(self, transport: Any) -> None:
        """Serves a transport whose connection the manager knows."""
        self.transport = transport
        transport.set_write_buffer_limits(high=self.buffer_limit)

    def data_received(self, data: bytes) -> None:
        if not self._greeted:
            self._greet()
        if self.manager.sheds_http2 and not self.closing and self._is_shed():
            return
        super().data_received(data)

    def _is_shed(self) -> bool:
        """Load shed points: the client is told to go elsewhere; or the connection ends now, and this is not read."""
        manager = self.manager
        if manager.go_away is not None and manager.go_away() and not self._told_off:
            self._told_off = True
            self._announce_end()
        if manager.go_away_and_close is None or not manager.go_away_and_close():
            return False
        self._announce_end()
        self.send_goaway(frames.NO_ERROR)
        self._end_streams("forced_goaway", None)
        self.close_delayed()
        return True

    def _announce_end(self) -> None:
        """A notice: it is not counted, and every stream is served."""
        self.write(frames.goaway(frames.LARGEST_STREAM_ID, frames.NO_ERROR))

    def feed(self, data: bytes) -> None:
        super().feed(data)
        if self.unfinished:
            unfinished, self.unfinished = self.unfinished, []
            for exchange in unfinished:
                exchange.read_ended()

    def _read(self, data: bytes, at: int) -> bytes:
        rest = super()._read(data, at)
        if self.fresh:
            self.begin_fresh()
        return rest

    def begin_fresh(self) -> None:
        """What came before is begun before what comes after."""
        fresh, self.fresh = self.fresh, []
        for exchange in fresh:
            exchange.begin()

    def _break(self, error: ConnectionBroken, before: int) -> None:
        self.begin_fresh()
        super()._break(error, before)

    def serve(self, data: bytes) -> None:
        """What came before it was known that this is HTTP/2; it was counted then."""
        self._greet()
        self.feed(data)

    def _greet(self) -> None:
        self._greeted = True
        self.stats.nghttp2_downstream_connections += 1
        self.manager.codec_made(self)
        self.write_later(self.greeting())
        if self.manager.keepalives is not None:
            self.manager.keepalives.start(self)

    def on_closed(self, error: Exception | None) -> None:
        manager = self.manager
        closed_here = self.closed_here
        if closed_here and manager.delayed_close is not None and manager.delayed_close.discard(self):
            # We waited for the client to close, and it did.
            closed_here = False
        if manager.keepalives is not None:
            manager.keepalives.stop(self)
        manager.connection_lost(self, closed_here)
        for exchange in reversed(list(self.streams.values())):
            self.forget(exchange)
            exchange.on_reset(frames.NO_ERROR, False, "downstream_remote_disconnect")
        self.connection.ended()

    def count_received(self, size: int) -> None:
        self.manager.stats.downstream_cx_rx_bytes_total += size

    def count_sent(self, size: int) -> None:
        self.manager.stats.downstream_cx_tx_bytes_total += size

    # ---- streams ----

    def make_stream(self, stream_id: int) -> Http2Stream:
        return self.exchange(self, stream_id)

    def parse_head(self, pairs: list[Pair]) -> RequestHead:
        if self.options.underscores != "allow":
            pairs = self._judge_underscores(pairs)
        return parse_request(pairs, self.options)

    def parse_trailers(self, pairs: list[Pair]) -> list[Pair]:
        if self.options.underscores != "allow":
            pairs = self._judge_underscores(pairs)
        return super().parse_trailers(pairs)

    def _judge_underscores(self, pairs: list[Pair]) -> list[Pair]:
        """headers_with_underscores_action: other servers may take `_` for `-` and so see another header."""
        kept = [pair for pair in pairs if "_" not in pair[0]]
        if len(kept) == len(pairs):
            return pairs
        if self.options.underscores == "reject":
            raise MessageInvalid(UNDERSCORE)
        self.stats.dropped_headers_with_underscores += len(pairs) - len(kept)
        # Each such head is judged, and counted, anew.
        self.decoder.changed = True
        return kept

    def on_ping_ack(self, data: bytes) -> None:
        if self.manager.keepalives is not None:
            self.manager.keepalives.answered(self)

    def on_head_started(self, stream: Http2Stream) -> None:
        self.manager.head_started(self)

    def start_nameless(self) -> Stream:
        """A stream for the head that is not complete."""
        assert self._block is not None
        exchange: Any = self._block[1]
        stream: Stream = exchange.start_nameless()
        return stream

    def stream_closed(self, stream: Http2Stream) -> None:
        self.manager.time.flushed(stream)
        if self._ending and not self.streams:
            self.connection.local_close_reason = "deferred_close_on_drained_connection"
            self.close_delayed()

    def exchange_ended(self, stream: Stream) -> None:
        """Counts streams that a client opens only to reset them (rapid reset, CVE-2023-44487)."""
        self.last_activity = stream.last_activity
        self._closed_streams += 1
        limits = self.manager.premature_resets
        if stream.response is None and stream.last_activity - stream.started < limits.lifetime() + 1:
            self._premature += 1
        elif not self._premature:
            return
        self._judge_resets()

    def count_reset(self) -> bool:
        """The client resets a request that has not begun. Whether that was all: nobody wants to know more of it."""
        manager = self.manager
        if not manager.counts_only():
            return False
        self.requests += 1
        manager.count_unbegun()
        self._closed_streams += 1
        self._premature += 1
        self._judge_resets()
        return True

    def _judge_resets(self) -> None:
        total = self.manager.premature_resets.total()
        if self._premature * 2 >= max(total, self._closed_streams) and not self.leaving and not self.closing:
            self.manager.stats.downstream_rq_too_many_premature_resets += 1
            self.connection.local_close_reason = "too_many_premature_resets"
            self.abort()

    # ---- the end ----

    def on_broken(self, error: ConnectionBroken) -> None:
        if not isinstance(error, Flood):
            self.manager.stats.downstream_cx_protocol_error += 1
        if self.connection.record is not None:
            self.connection.record.add_flag("DPE")
        self._end_streams(_CODEC_ERROR, error)
        self.connection.local_close_reason = "codec_error"
        self.close_delayed()

    def _end_streams(self, details: str, error: ConnectionBroken | None) -> None:
        """All that are open are over, the last first, as in Envoy; one may have been the cause of an error."""
        stats = self.manager.stats
        if self.streams:
            stats.downstream_cx_destroy_active_rq += 1
            stats.downstream_cx_destroy_local_active_rq += 1
        for exchange in reversed(list(self.streams.values())):
            self.forget(exchange)
            own = error is not None and exchange is error.stream
            exchange.on_reset(frames.NO_ERROR, False, error.reason if own and error is not None else details)

    def exchanges(self) -> list[Stream]:
        """Those that are not over."""
        return [each.stream for each in self.streams.values() if each.stream is not None]  # type: ignore[attr-defined]

    def unsent_of(self, stream: Stream) -> int:
        """Bytes that wait to be written for it."""
        exchange: Http2Exchange = stream.server  # type: ignore[assignment]
        return exchange.queued

    @property
    def spoke(self) -> bool:
        """Whether anything came from the client."""
        return self._greeted

    def leave(self) -> None:
        """Says that the connection will end (RFC 9113 §6.8), and serves what comes until then."""
        self.leaving = True
        self._announce_end()

    def end_drain(self) -> None:
        """Streams that come now are not served; those that are there end in peace."""
        self.send_goaway(frames.NO_ERROR)
        if self.streams:
            self._ending = True
        else:
            self.connection.local_close_reason = "deferred_close_on_drained_connection"
            self.close_delayed()

    def drain(self) -> None:
        """HTTP/2 has no last response: its connections end by GOAWAY."""

    def close(self, delayed: bool = False) -> None:
        if not self.closing:
            self.flush()
            close_connection(self, delayed)

    def close_delayed(self) -> None:
        self.close(delayed=True)
