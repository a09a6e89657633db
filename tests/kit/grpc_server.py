"""An independent gRPC server (grpcio) with one method of each shape; messages are bytes as they are."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

SERVICE = "kit.Echo"


def path(method: str) -> str:
    return f"/{SERVICE}/{method}"


class _Echo:
    """unary: `fail:<code>` ends with that status, `wait` never ends, `metadata:<name>` tells a header of the call."""

    def unary(self, request: bytes, context: Any) -> bytes:
        word, _, rest = request.partition(b":")
        if word == b"fail":
            context.abort(next(code for code in grpc.StatusCode if code.value[0] == int(rest)), "as asked: 100%\u00e9")
        if word == b"wait":
            while context.is_active():
                time.sleep(0.01)
        if word == b"metadata":
            return str(dict(context.invocation_metadata()).get(rest.decode())).encode()
        return request

    def client_stream(self, requests: Iterator[bytes], context: Any) -> bytes:
        return b"".join(requests)

    def server_stream(self, request: bytes, context: Any) -> Iterator[bytes]:
        count, _, size = request.partition(b"x")
        for number in range(int(count)):
            yield b"%d" % number * int(size or 1)

    def both(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        context.send_initial_metadata((("x-begun", "yes"),))
        context.set_trailing_metadata((("x-ended", "yes"),))
        yield from requests


@contextmanager
def grpc_server(address: str = "127.0.0.1:0", *, streams: int = 0) -> Iterator[int]:
    """The port on which it listens. streams: how many it takes at a time on a connection; 0 for any."""
    echo = _Echo()
    handlers = {
        "unary": grpc.unary_unary_rpc_method_handler(echo.unary),
        "client_stream": grpc.stream_unary_rpc_method_handler(echo.client_stream),
        "server_stream": grpc.unary_stream_rpc_method_handler(echo.server_stream),
        "both": grpc.stream_stream_rpc_method_handler(echo.both),
    }
    options: list[tuple[str, Any]] = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
    if streams:
        options.append(("grpc.max_concurrent_streams", streams))
    server = grpc.server(ThreadPoolExecutor(32), options=options)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port(address)
    server.start()
    try:
        yield port
    finally:
        server.stop(None)
