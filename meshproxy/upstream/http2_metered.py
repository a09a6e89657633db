"""An HTTP/2 connection to an upstream whose bytes are counted, because a format asks for them."""

from meshproxy.http.h2.heads import ResponseHead
from meshproxy.http.h2.metered import MeteredConnection, MeteredStream
from meshproxy.http.headers import Pair, RequestHeaders
from meshproxy.http.meter import Meter
from meshproxy.upstream.http2_client import Http2Client
from meshproxy.upstream.http2_exchange import Http2Exchange
from meshproxy.upstream.sides import Exchange

# `:status`, and its three digits.
_PSEUDO = 7 + 3


class MeteredExchange(MeteredStream, Http2Exchange):
    """Whoever logs finds the meter on the stream that the exchange is for."""

    __slots__ = ("meter",)

    def __init__(self, connection: Http2Client) -> None:
        super().__init__(connection)
        self.meter = Meter()

    def send_headers(self, attempt: Exchange, request: RequestHeaders, end: bool) -> None:
        attempt.stream.upstream_meter = self.meter
        super().send_headers(attempt, request, end)

    def on_headers(self, head: ResponseHead, end: bool) -> None:
        self.took(head.pairs, _PSEUDO)
        super().on_headers(head, end)

    def on_trailers(self, pairs: list[Pair]) -> None:
        self.took(pairs)
        super().on_trailers(pairs)


class MeteredHttp2Client(MeteredConnection, Http2Client):
    exchange = MeteredExchange
