"""A server (grpcio) of the services that take access logs and stats: it remembers what it was sent, by stream."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf import json_format

from meshproxy.config.api import api_pool
from meshproxy.config.types import message_class

SERVICES = {
    "logs": ("envoy.service.accesslog.v3.AccessLogService", "StreamAccessLogs", "StreamAccessLogsMessage"),
    "stats": ("envoy.service.metrics.v3.MetricsService", "StreamMetrics", "StreamMetricsMessage"),
}


class Telemetry:
    """Messages as trees, in a list for each stream."""

    def __init__(self) -> None:
        self.port = 0
        self.logs: list[list[dict[str, Any]]] = []
        self.stats: list[list[dict[str, Any]]] = []

    def taker(self, name: str) -> Any:
        service, _, message = SERVICES[name]
        kind = message_class(f"{service.rpartition('.')[0]}.{message}")

        def take(requests: Iterator[bytes], _context: Any) -> bytes:
            stream: list[dict[str, Any]] = []
            getattr(self, name).append(stream)
            for each in requests:
                stream.append(
                    json_format.MessageToDict(
                        kind.FromString(each), preserving_proto_field_name=True, descriptor_pool=api_pool()
                    )
                )
            return b""

        return grpc.stream_unary_rpc_method_handler(take)


@contextmanager
def telemetry_server() -> Iterator[Telemetry]:
    made = Telemetry()
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    handlers = [
        grpc.method_handlers_generic_handler(service, {method: made.taker(name)})
        for name, (service, method, _) in SERVICES.items()
    ]
    server.add_generic_rpc_handlers(handlers)
    made.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield made
    finally:
        server.stop(None).wait()
