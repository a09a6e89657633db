"""gRPC calls of our own, against grpcio."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshproxy.http.failures import CONNECT_FAILED, CONNECTION_TERMINATED, REMOTE_REFUSED, Failure
from meshproxy.http.headers import Headers, ResponseHeaders
from meshproxy.upstream.cluster import Cluster, Clusters
from meshproxy.upstream.grpc_client import GrpcClient, GrpcError
from meshproxy.upstream.grpc_retry import GrpcRetries
from tests.kit.grpc_server import grpc_server, path
from tests.upstream.fakes import black_hole, make_cluster, on_loop, settled, until


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with grpc_server() as port:
        yield port


def client_of(address: tuple[str, int], **options: Any) -> tuple[GrpcClient, Cluster]:
    cluster = make_cluster(address, protocol="http2", connect_timeout=0.3)
    clusters = Clusters()
    clusters.by_name["c"] = cluster
    return GrpcClient(clusters, "c", **options), cluster


async def over(cluster: Cluster) -> None:
    cluster.close()
    for endpoint in cluster.endpoints:
        for pool in (*endpoint.pools, *endpoint.source_pools.values()):
            if pool is not None:
                pool.close()
    await until(lambda: settled(cluster))


@on_loop
async def test_one_message_for_one(port: int) -> None:
    client, cluster = client_of(("127.0.0.1", port), metadata=[("x-own", "of all")])
    assert await client.unary(path("unary"), b"hello") == b"hello"
    assert await client.unary(path("unary"), b"") == b""
    large = b"x" * 5_000_000
    assert await client.unary(path("unary"), large) == large
    assert await client.unary(path("unary"), b"metadata:x-own") == b"of all"
    assert await client.unary(path("unary"), b"metadata:x-call", [("x-call", "mine")]) == b"mine"
    assert await client.unary(path("unary"), b"metadata:x-envoy-internal") == b"true"
    stats = cluster.stats
    assert (stats.upstream_rq_total, stats.upstream_cx_http2_total) == (6, 1)
    assert stats.responses["internal."].codes == {200: 6}
    await over(cluster)


@on_loop
async def test_how_calls_fail(port: int) -> None:
    client, cluster = client_of(("127.0.0.1", port))
    with pytest.raises(GrpcError) as caught:
        await client.unary(path("unary"), b"fail:7")
    assert (caught.value.status, caught.value.message) == (7, "as asked: 100%\u00e9")
    with pytest.raises(GrpcError) as caught:
        await client.unary(path("nothing"), b"")
    assert caught.value.status == 12
    with pytest.raises(GrpcError) as caught:
        await client.unary(path("unary"), b"wait", timeout=0.1)
    assert (caught.value.status, caught.value.message) == (14, "upstream request timeout")
    assert cluster.stats.upstream_rq_timeout == 1
    call = asyncio.ensure_future(client.unary(path("unary"), b"wait"))
    await until(lambda: cluster.stats.upstream_rq_active == 1)
    call.cancel()
    await until(lambda: not cluster.stats.upstream_rq_active)
    assert await client.unary(path("unary"), b"still there") == b"still there"
    await over(cluster)


@on_loop
async def test_nobody_there() -> None:
    client, cluster = client_of(("127.0.0.1", 1))
    with pytest.raises(GrpcError) as caught:
        await client.unary(path("unary"), b"")
    assert caught.value.status == 14
    assert "remote connection failure" in caught.value.message
    cluster.set_endpoints([])
    with pytest.raises(GrpcError, match="no healthy upstream"):
        await client.unary(path("unary"), b"")
    client.clusters.by_name.clear()
    with pytest.raises(GrpcError, match="Cluster not available"):
        await client.unary(path("unary"), b"")
    with black_hole() as address:
        client, cluster = client_of(address, timeout=0.1)
        with pytest.raises(GrpcError, match="upstream request timeout"):
            await client.unary(path("unary"), b"")
        await over(cluster)


@on_loop
async def test_streams(port: int) -> None:
    client, cluster = client_of(("127.0.0.1", port))
    stream = client.stream(path("both"))
    stream.send(b"one")
    assert await stream.receive() == b"one"
    stream.send(b"two")
    stream.send(b"three")
    stream.end_sending()
    assert [message async for message in stream] == [b"two", b"three"]
    assert isinstance(stream.headers, ResponseHeaders) and stream.headers.get("x-begun") == "yes"
    assert isinstance(stream.trailers, Headers) and stream.trailers.get("x-ended") == "yes"
    stream = client.stream(path("client_stream"))
    for _ in range(100):
        stream.send(b"x" * 100_000)
        await stream.writable()
    stream.end_sending()
    answer = await stream.receive()
    assert answer is not None and len(answer) == 10_000_000
    assert await stream.receive() is None
    # More than is kept for a reader who does not come.
    stream = client.stream(path("server_stream"))
    stream.send(b"100x50000")
    stream.end_sending()
    await until(lambda: cluster.stats.upstream_cx_rx_bytes_total > 1_000_000)
    assert len([message async for message in stream]) == 100
    stream = client.stream(path("both"))
    stream.cancel()
    with pytest.raises(GrpcError, match="cancelled"):
        await stream.receive()
    await over(cluster)


@on_loop
async def test_many_at_a_time() -> None:
    """As many connections as the server's limit of streams asks for."""
    with grpc_server(streams=4) as port:
        client, cluster = client_of(("127.0.0.1", port))
        # Its count of streams is a little behind.
        client.retries = GrpcRetries(9, {"refused-stream"}, 0.01, 0.1)
        assert await client.unary(path("unary"), b"first") == b"first"
        answers = await asyncio.gather(*[client.unary(path("unary"), b"%d" % number) for number in range(40)])
        assert answers == [b"%d" % number for number in range(40)]
        assert cluster.stats.upstream_cx_http2_total > 1
        await over(cluster)


@on_loop
async def test_a_unix_socket(tmp_path: Path) -> None:
    with grpc_server(f"unix:{tmp_path}/s"):
        client, cluster = client_of((f"{tmp_path}/s", 0))
        assert await client.unary(path("unary"), b"hello") == b"hello"
        await over(cluster)


@on_loop
async def test_a_message_that_is_too_long(port: int) -> None:
    client, cluster = client_of(("127.0.0.1", port), max_message=10)
    assert await client.unary(path("unary"), b"x" * 10) == b"x" * 10
    with pytest.raises(GrpcError) as caught:
        await client.unary(path("unary"), b"x" * 11)
    assert caught.value.status == 8
    await over(cluster)


@on_loop
async def test_tries_again_as_configured(port: int) -> None:
    client, cluster = client_of(("127.0.0.1", port))
    client.retries = GrpcRetries(2, {"unavailable"}, 0.001, 0.01)
    for status, tries in ((14, 3), (13, 1)):
        before = cluster.stats.upstream_rq_total
        with pytest.raises(GrpcError):
            await client.unary(path("unary"), b"fail:%d" % status)
        assert cluster.stats.upstream_rq_total - before == tries
    await over(cluster)


@pytest.mark.parametrize(
    ("condition", "status", "failure", "again"),
    [
        ("connect-failure", 14, CONNECT_FAILED, True),
        ("connect-failure", 14, CONNECTION_TERMINATED, False),
        ("refused-stream", 14, REMOTE_REFUSED, True),
        ("reset", 14, CONNECTION_TERMINATED, True),
        ("internal", 13, None, True),
        ("internal", 14, None, False),
    ],
)
def test_what_is_tried_again(condition: str, status: int, failure: Failure | None, again: bool) -> None:
    retries = GrpcRetries(1, {condition}, 0.1, 0.2)
    assert retries.wants(1, status, failure) is again
    assert not retries.wants(2, status, failure)
    assert 0 <= retries.pause(5) <= 0.2
