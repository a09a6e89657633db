"""A chain of HTTP filters with nothing in it: requests are read, and nobody answers them."""

from asyncio import Future

from meshproxy.http.filter import HttpFilter
from meshproxy.http.stream import Stream


class Unanswered(HttpFilter):
    """Stands where the router would, as in Envoy: until a timeout, or until the client is gone."""

    async def on_request_headers(self, stream: Stream, end: bool) -> None:
        await Future[None]()
