"""Checks by gRPC, answered by a server of grpcio; and what their messages say."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import uvloop

from meshproxy.http.headers import RequestHeaders
from meshproxy.net.runtime import Runtime
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.health.checker import HealthChecker
from meshproxy.upstream.health.cluster_checks import ClusterChecks
from meshproxy.upstream.health.connections import CheckConnections
from meshproxy.upstream.health.events import HealthEvents
from meshproxy.upstream.health.grpc_probe import GrpcCheck, GrpcProbe, check_request, serving_status
from meshproxy.upstream.health.settings import HealthCheckSettings, HealthCheckStats
from meshproxy.upstream.host_states import HostStates
from tests.upstream.fakes import make_cluster, until


class Server(grpc.GenericRpcHandler):
    """grpc.health.v1.Health, which answers as is set now."""

    def __init__(self) -> None:
        self.answer = b"\x08\x01"
        self.status: grpc.StatusCode | None = None
        self.asked: list[tuple[str, bytes, dict[str, str]]] = []
        self._server = grpc.server(ThreadPoolExecutor(2), handlers=[self])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._check(details, request, context))

    def _check(self, details: Any, request: bytes, context: Any) -> bytes:
        self.asked.append((details.method, request, dict(details.invocation_metadata)))
        if self.status is not None:
            context.abort(self.status, "no")
        return self.answer

    def stop(self) -> None:
        self._server.stop(None)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def test_an_endpoint_is_what_its_server_says(server: Server) -> None:
    def edit(endpoint: Endpoint, request: RequestHeaders) -> None:
        request.add("x-for", endpoint.address_text)

    async def work() -> None:
        cluster = make_cluster()
        checks = ClusterChecks(cluster, HostStates(), ignores_new=False)
        settings = HealthCheckSettings(1, 0.01, 1, 1, 0.01, 0.01, 0.01, 0.01, 0.01)
        connections = CheckConnections(cluster, "http2")
        check = GrpcCheck(check_request("books"), "a.test", edit)
        checks.checkers.append(HealthChecker(
            checks, settings, lambda session: GrpcProbe(session, connections, check), HealthCheckStats(),
            HealthEvents("c", "GRPC", ()), Runtime(),
        ))  # fmt: skip
        cluster.watchers = (checks,)
        cluster.set_endpoints([Endpoint(("127.0.0.1", server.port))])
        (endpoint,) = cluster.endpoints
        checks.start()
        await cluster.warm()
        assert endpoint.healthy
        for answer, status in ((b"\x08\x02", None), (b"", None), (b"\x08\x01", grpc.StatusCode.UNIMPLEMENTED)):
            server.answer, server.status = answer, status
            await until(lambda: not endpoint.healthy)
            server.answer, server.status = b"\x08\x01", None
            await until(lambda: endpoint.healthy)
        cluster.close()
        # Checks are no traffic.
        assert not cluster.stats.upstream_cx_total and not cluster.stats.upstream_rq_total

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work(), 30))
    method, request, metadata = server.asked[0]
    assert (method, request) == ("/grpc.health.v1.Health/Check", b"\x0a\x05books")
    assert metadata["x-for"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"", 0), (b"\x08\x01", 1), (b"\x08\x02", 2), (b"\x08\x81\x01", 129), (b"\x12\x01x\x08\x01", 1),
        (b"\x10\x05\x08\x01", 1), (b"\x08", 0), (b"\x12\xff", 0), (b"\x08\x01\x08\x02", 2),
    ],
)  # fmt: skip
def test_statuses(message: bytes, status: int) -> None:
    assert serving_status(message) == status


def test_requests() -> None:
    assert check_request("") == b""
    assert check_request("x" * 200) == b"\x0a\xc8\x01" + b"x" * 200
