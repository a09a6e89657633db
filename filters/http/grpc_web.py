"""gRPC for browsers (envoy.extensions.filters.http.grpc_web.v3.GrpcWeb; gRPC's PROTOCOL-WEB.md).

A browser cannot see trailers: they come as a last message of the body. A browser that cannot see bytes either asks for
all of it in base64. Upstream it is plain gRPC.
"""

import binascii
from base64 import b64encode
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

from meshproxy.api import Headers, HttpFilter, LocalReply, ResponseHeaders, Stream, grpc_status_of, is_grpc

from .grpc_names import MessageReader, service_and_method

_PROTO, _TEXT = "application/grpc-web+proto", "application/grpc-web-text+proto"
_BINARY = frozenset({"application/grpc-web", _PROTO})
_BASE64 = frozenset({"application/grpc-web-text", _TEXT})
# What of a body that is no gRPC becomes its grpc-message.
_MESSAGE_LIMIT = 16384
_TRAILERS = b"\x80"
_BAD_BASE64 = b"Bad gRPC-web request, invalid base64 data."


@dataclass(slots=True)
class Call:
    """A call of a browser. names: what stands before its numbers; None where the path names no method."""

    names: str | None
    text_request: bool
    text_response: bool
    # Base64 that is not four characters yet.
    rest: bytes = b""
    messages: MessageReader = field(default_factory=MessageReader)


class GrpcWeb(HttpFilter):
    """Has no configuration."""

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "GrpcWeb":
        return cls()

    # ---- the request ----

    def on_request_headers(self, stream: Stream, end: bool) -> None:
        request = stream.request
        content_type = request.get("content-type") or ""
        if content_type not in _BINARY and content_type not in _BASE64:
            return
        found = service_and_method(request.path)
        names = None if found is None else f"grpc-web.{found[0]}.{found[1]}."
        # Answers of ours are HTTP, and become gRPC on their way through here.
        stream.replies_as_grpc = False
        stream.keep(self, Call(names, content_type in _BASE64, request.get("accept") in _BASE64))
        # The length is that of base64, or will not be known to who gets it.
        request.remove("content-length")
        request.set("content-type", "application/grpc")
        request.set("te", "trailers")
        if "grpc-accept-encoding" not in request.index:
            request.add("grpc-accept-encoding", "identity")

    def on_request_data(self, stream: Stream, data: bytes, end: bool) -> bytes | None:
        call: Call | None = stream.kept(self)
        if call is None or not call.text_request:
            return None
        data = call.rest + data
        if end and len(data) % 4:
            return self._refuse(stream, "grpc_base_64_decode_failed_bad_size")
        whole = len(data) // 4 * 4
        call.rest = data[whole:]
        try:
            return binascii.a2b_base64(data[:whole], strict_mode=True) if whole else b""
        except binascii.Error:
            return self._refuse(stream, "grpc_base_64_decode_failed")

    def _refuse(self, stream: Stream, details: str) -> bytes:
        stream.reply(LocalReply(400, _BAD_BASE64, details))
        return b""

    # ---- the response ----

    def on_response_headers(self, stream: Stream, end: bool) -> Awaitable[None] | None:
        call: Call | None = stream.kept(self)
        response = stream.response
        if call is None or response is None:
            return None
        self._count(stream, call, response)
        foreign = not _is_answer(response, end)
        response.remove("content-length")
        response.set("content-type", _TEXT if call.text_response else _PROTO)
        return self._explain(stream, call, response) if foreign and not end else None

    def on_response_data(self, stream: Stream, data: bytes, end: bool) -> bytes | None:
        call: Call | None = stream.kept(self)
        if call is None or not call.text_response:
            return None
        return b"".join([b64encode(message) for message in call.messages.add(data)])

    def on_response_trailers(self, stream: Stream) -> bytes | None:
        call: Call | None = stream.kept(self)
        trailers = stream.response_trailers
        if call is None or trailers is None:
            return None
        self._count(stream, call, trailers)
        block = "".join([f"{name}:{value}\r\n" for name, value in trailers.pairs]).encode("latin-1")
        trailers.replace([])
        frame = _TRAILERS + len(block).to_bytes(4) + block
        return b64encode(frame) if call.text_response else frame

    async def _explain(self, stream: Stream, call: Call, response: ResponseHeaders) -> None:
        """An answer that is no gRPC: what it says becomes the message of a gRPC error."""
        body = await stream.read_response(_MESSAGE_LIMIT)
        if stream.response_trailers is not None:
            self._count(stream, call, stream.response_trailers)
        stream.drop_response_body()
        response.set("grpc-message", _encoded(body[:_MESSAGE_LIMIT]))
        response.set("grpc-status", str(grpc_status_of(response.status)))
        response.set("content-length", "0")

    def _count(self, stream: Stream, call: Call, headers: Headers) -> None:
        cluster = stream.find_cluster()
        status = headers.get("grpc-status")
        if cluster is None or call.names is None or status is None:
            return
        for name in (status, "success" if status == "0" else "failure", "total"):
            cluster.stats.named.count(call.names, name)


def _is_answer(response: ResponseHeaders, end: bool) -> bool:
    """gRPC, or what an upstream that speaks gRPC-Web itself has to say."""
    if end and "grpc-status" in response.index:
        return True
    media_type = (response.get("content-type") or "").partition(";")[0].rstrip().lower()
    return response.status == 200 and (is_grpc(response) or media_type in _BINARY)


def _encoded(body: bytes) -> str:
    """Percent-encoding of all that is not printable ASCII, and of the percent sign."""
    return "".join([chr(byte) if 32 <= byte <= 126 and byte != 37 else f"%{byte:02X}" for byte in body])
