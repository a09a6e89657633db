"""A gRPC server and a client of the library that everybody uses.

python -m tests.kit.grpc_app serve NAME PORT... | call HOST:PORT COUNT
"""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

METHOD = "/kit.Pod/Count"


def serve(name: str, *ports: str) -> None:
    def count(request: bytes, context: Any) -> Iterator[bytes]:
        for number in range(int(request)):
            yield f"{name} {number}".encode()

    handler = grpc.unary_stream_rpc_method_handler(count)
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("kit.Pod", {"Count": handler}),))
    for port in ports:
        server.add_insecure_port(f"[::]:{port}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


def call(target: str, count: str) -> None:
    with grpc.insecure_channel(target) as channel:
        for answer in channel.unary_stream(METHOD)(count.encode(), timeout=10):
            print(answer.decode())


if __name__ == "__main__":
    {"serve": serve, "call": call}[sys.argv[1]](*sys.argv[2:])
