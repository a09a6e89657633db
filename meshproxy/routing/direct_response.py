"""The action that answers from the configuration (envoy.config.route.v3.DirectResponseAction)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from meshproxy.http.filter import LocalReply
from meshproxy.http.headers import Pair
from meshproxy.http.stream import Stream
from meshproxy.routing.redirect import TO_ITSELF

if TYPE_CHECKING:
    from meshproxy.routing.router import Router


class DirectResponse:
    """`body` as it is; or what `format` makes of it and the stream, with its content type."""

    forwards: ClassVar[bool] = False
    __slots__ = ("body", "content_type", "format", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        format: Callable[[Stream], str] | None = None,
        content_type: str = "text/plain",
    ) -> None:
        self.status = status
        self.body = body
        self.format = format
        self.content_type = content_type

    def start(self, router: "Router", stream: Stream, end: bool) -> None:
        stream.manager.stats.rq_direct_response += 1
        body = self.body
        headers: list[Pair] = []
        if self.format is not None:
            stream.local_reply_body = body.decode("latin-1")
            body = self.format(stream).encode("latin-1")
            if self.content_type != "text/plain":
                headers.append(("content-type", self.content_type))
        if self.status == 201 or 300 <= self.status < 400:
            headers.append(("location", TO_ITSELF.location(stream)))
        stream.reply(LocalReply(self.status, body, "direct_response", headers=headers))
