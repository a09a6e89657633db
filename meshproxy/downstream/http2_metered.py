"""A client's HTTP/2 connection whose bytes are counted, because a format asks for them."""

from typing import TYPE_CHECKING, Any

from meshproxy.downstream.http2_exchange import Http2Exchange
from meshproxy.downstream.http2_server import Http2Server
from meshproxy.http.h2.heads import RequestHead
from meshproxy.http.h2.metered import MeteredConnection, MeteredStream
from meshproxy.http.h2.stream import Http2Stream
from meshproxy.http.headers import Pair
from meshproxy.http.meter import Meter

if TYPE_CHECKING:
    from meshproxy.http.h2.connection import Http2Connection

# `:method`, `:path`, `:scheme`, `:authority`; and `:protocol`.
_PSEUDO = 7 + 5 + 7 + 10
_PROTOCOL = 9


class MeteredExchange(MeteredStream, Http2Exchange):
    __slots__ = ("meter",)

    meter: Meter

    def __init__(self, connection: "Http2Connection", stream_id: int) -> None:
        super().__init__(connection, stream_id)
        self.meter = Meter()

    def on_headers(self, head: RequestHead, end: bool) -> None:
        more = _PSEUDO + len(head.method) + len(head.path) + len(head.scheme) + len(head.authority or "")
        self.took(head.pairs, more + (_PROTOCOL + len(head.protocol) if head.protocol is not None else 0))
        super().on_headers(head, end)

    def on_trailers(self, pairs: list[Pair]) -> None:
        self.took(pairs)
        super().on_trailers(pairs)


class MeteredHttp2Server(MeteredConnection, Http2Server):
    exchange = MeteredExchange

    def make_stream(self, stream_id: int) -> Http2Stream:
        made: Any = super().make_stream(stream_id)
        made.head_frame(self.head_size)
        return made  # type: ignore[no-any-return]
