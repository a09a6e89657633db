"""What the proxy's own answers look like: LocalReplyConfig, and the form that gRPC clients understand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshproxy.http.failures import grpc_status_of
from meshproxy.http.filter import LocalReply
from meshproxy.http.grpc import GRPC, encode_message, is_grpc
from meshproxy.http.headers import ResponseHeaders

if TYPE_CHECKING:
    from meshproxy.http.stream import Stream


@dataclass(frozen=True, slots=True)
class BodyFormat:
    """body_format: `format` makes the body from the stream (whose `local_reply_body` is the text so far).

    `json`: the line ends with a newline, which is no part of a message to gRPC clients.
    """

    format: Callable[["Stream"], str]
    content_type: str
    json: bool = False


@dataclass(frozen=True, slots=True)
class Mapper:
    """One ResponseMapper: for the replies that `matches` takes."""

    matches: Callable[["Stream"], bool]
    status: int | None = None
    body: bytes | None = None
    format: BodyFormat | None = None
    edit: Callable[["Stream", ResponseHeaders], None] | None = None


class LocalReplies:
    """How a LocalReply becomes a response head and body. The first mapper that takes a reply changes it."""

    __slots__ = ("_format", "_mappers")

    def __init__(self, mappers: tuple[Mapper, ...] = (), format: BodyFormat | None = None) -> None:
        self._mappers = mappers
        self._format = format

    def render(self, stream: "Stream", reply: LocalReply, headers: ResponseHeaders) -> bytes:
        """Completes the head that has status and headers of its own; the body that is to be sent."""
        body, content_type = reply.body, reply.content_type
        if self._mappers or self._format is not None:
            body, content_type = self._map(stream, reply, headers)
        if stream.replies_as_grpc and is_grpc(stream.request):
            _speak_grpc(stream, reply, headers, body)
            return b""
        if body:
            headers.set("content-length", str(len(body)))
            if "content-type" not in headers:
                headers.add("content-type", content_type)
        else:
            headers.remove("content-length")
            headers.remove("content-type")
        return body

    def _map(self, stream: "Stream", reply: LocalReply, headers: ResponseHeaders) -> tuple[bytes, str]:
        """Changes status and headers as configured; body and content type."""
        stream.response = headers
        body, form = reply.body, self._format
        for mapper in self._mappers:
            if mapper.matches(stream):
                if mapper.body is not None:
                    body = mapper.body
                if mapper.edit is not None:
                    mapper.edit(stream, headers)
                headers.status = mapper.status or headers.status
                form = mapper.format or form
                break
        if form is None:
            return body, reply.content_type
        stream.local_reply_body = body.decode("latin-1")
        text = form.format(stream)
        if form.json and stream.replies_as_grpc and is_grpc(stream.request):
            text = text.removesuffix("\n")
        return text.encode("latin-1"), form.content_type


def _speak_grpc(stream: "Stream", reply: LocalReply, headers: ResponseHeaders, body: bytes) -> None:
    """gRPC wants 200 and its own status and message (which replaces the body)."""
    status = headers.status
    headers.status = 200
    headers.set("content-type", GRPC)
    if "grpc-status" not in headers:
        headers.add("grpc-status", str(reply.grpc_status if reply.grpc_status is not None else grpc_status_of(status)))
    text = body.decode("latin-1")
    if text and stream.request.method != "HEAD":
        headers.set("grpc-message", encode_message(text))
    headers.remove("content-length")
