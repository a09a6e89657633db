"""HTTP/1 as it was on the wire, whole and broken."""

import asyncio
import socket

import pytest

from .wire import Message, Wire, read_request, read_response


def exchange(sent: bytes, method: str, end: str = "fin") -> Message:
    """What a reader makes of `sent`, after which the sender closes ("fin") or resets ("rst")."""

    async def read() -> Message:
        listener = socket.create_server(("127.0.0.1", 0))
        sender = Wire(socket.create_connection(listener.getsockname()))
        reader = Wire(listener.accept()[0])
        listener.close()
        await sender.send(sent)
        if end == "rst":
            await reader.fill()
            sender.reset()
        else:
            sender.close()
        try:
            if method == "request":
                message = Message()
                await read_request(reader, message)
                return message
            return await read_response(reader, method)
        finally:
            reader.close()

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("sent", "method", "framing", "body", "cut"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokEXTRA", "GET", "content-length 2", "ok", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", "GET", "content-length 9", "ok", "fin"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", "GET", "until close", "ok", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", "HEAD", "none", "", None),
        (b"HTTP/1.1 204 No\r\n\r\n", "GET", "none", "", None),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x\r\nok\r\n0\r\n\r\n", "GET", "chunked", "ok", None),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", "GET", "chunked", "ok", "fin"),
        (b"POST / HTTP/1.1\r\n\r\n", "request", "none", "", None),
    ],
)
def test_framing(sent: bytes, method: str, framing: str, body: str, cut: str | None) -> None:
    message = exchange(sent, method)
    assert (message.framing, message.body, message.cut) == (framing, body, cut)


def test_header_lines_are_untouched() -> None:
    message = exchange(b"HTTP/1.1 200 OK\r\nX-A:  1\r\nx-a:\t\xe9\r\ncontent-length: 0\r\n\r\n", "GET")
    assert message.headers == ["X-A:  1", "x-a:\t\xe9", "content-length: 0"]


def test_trailers() -> None:
    sent = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-t: 1\r\n\r\n"
    assert exchange(sent, "GET").trailers == ["x-t: 1"]


def test_bad_chunk_size() -> None:
    message = exchange(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "GET")
    assert message.cut == "bad chunk size b'zz\\r\\n'"


def test_a_reset_is_no_end() -> None:
    message = exchange(b"HTTP/1.1 200 OK\r\n\r\nhalf", "GET", end="rst")
    assert (message.body, message.cut) == ("half", "rst")


def test_half_a_head() -> None:
    message = exchange(b"HTTP/1.1 200 O", "GET")
    assert (message.start, message.cut) == ("HTTP/1.1 200 O", "fin")
