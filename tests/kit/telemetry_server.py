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
_EXPORT = "opentelemetry.proto.collector.logs.v1"


class Telemetry:
    """Messages as trees, in a list for each stream."""

    def __init__(self) -> None:
        self.port = 0
        self.logs: list[list[dict[str, Any]]] = []
        self.stats: list[list[dict[str, Any]]] = []
        # Of OpenTelemetry, whose messages come in calls.
        self.exports: list[dict[str, Any]] = []

    def taker(self, name: str) -> Any:
        service, _, message = SERVICES[name]
        kind = message_class(f"{service.rpartition('.')[0]}.{message}")

        def take(requests: Iterator[bytes], _context: Any) -> bytes:
            stream: list[dict[str, Any]] = []
            getattr(self, name).append(stream)
            for each in requests:
                stream.append(_tree(kind.FromString(each)))
            return b""

        return grpc.stream_unary_rpc_method_handler(take)

    def export(self, request: bytes, _context: Any) -> bytes:
        self.exports.append(_tree(message_class(f"{_EXPORT}.ExportLogsServiceRequest").FromString(request)))
        return b""


def _tree(message: Any) -> dict[str, Any]:
    tree: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, descriptor_pool=api_pool()
    )
    return tree


@contextmanager
def telemetry_server() -> Iterator[Telemetry]:
    made = Telemetry()
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
    handlers = [
        grpc.method_handlers_generic_handler(service, {method: made.taker(name)})
        for name, (service, method, _) in SERVICES.items()
    ]
    export = {"Export": grpc.unary_unary_rpc_method_handler(made.export)}
    handlers.append(grpc.method_handlers_generic_handler(f"{_EXPORT}.LogsService", export))
    server.add_generic_rpc_handlers(handlers)
    made.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield made
    finally:
        server.stop(None).wait()
