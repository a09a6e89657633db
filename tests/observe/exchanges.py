"""Exchanges as loggers see them: real streams and connection records, filled by hand."""

import time
from types import SimpleNamespace
from typing import Any

from meshproxy.downstream.connection_record import ConnectionRecord
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.net.connection import Connection


class Listener:
    metadata = {"lm": {"k": "of the listener"}}

    def connection_ended(self, connection: Connection, admitted: bool = True) -> None: ...


def connection() -> Connection:
    made = Connection(Listener(), ("127.0.0.1", 8080), ("10.1.2.3", 4567), time.monotonic())
    made.direct_peer = ("10.9.9.9", 1)
    made.chain = SimpleNamespace(name="chain 1", metadata={})
    return made


def exchange(*headers: tuple[str, str], path: str = "/a?x=1", status: int | None = 200) -> Stream:
    """A request, and where `status` is given a response to it."""
    request = RequestHeaders("GET", path, "shop.example", list(headers))
    nobody: Any = SimpleNamespace(meter=None)
    stream = Stream(nobody, nobody, connection(), request, time.monotonic())
    if status is not None:
        pairs = [("x-envoy-upstream-service-time", "7"), ("x-twice", "1"), ("x-twice", "2")]
        stream.response = ResponseHeaders(status, pairs)
    return stream


def forwarded(*headers: tuple[str, str]) -> Stream:
    """An exchange that reached an endpoint."""
    stream = exchange(*headers)
    stream.cluster = SimpleNamespace(
        name="reviews", alt_stat_name="seen reviews", metadata={"cm": {"k": "of the cluster"}}
    )
    stream.endpoint = SimpleNamespace(
        address_text="10.0.0.7:9080", address=("10.0.0.7", 9080), hostname="reviews.local",
        metadata={"em": {"k": "of the host"}},
    )  # fmt: skip
    stream.upstream_connection = SimpleNamespace(
        local=("10.0.0.1", 5555), id=7, protocol="HTTP/1.1", dialled_at=stream.started, connected_at=stream.started
    )
    stream.attempts = 2
    stream.details = "via_upstream"
    stream.done = True
    stream.response_trailers = Headers([("grpc-status", "5"), ("x-tail", "yes")])
    return stream


def tcp() -> Any:
    return ConnectionRecord(connection())
