"""grpcio on both sides of the proxy: calls of every shape, as they end, and as they are given up."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
import uvloop

from meshproxy.process.server import Server
from tests.kit.grpc_server import grpc_server, path

from .world import HTTP, proxy, settled, transient

HTTP2 = HTTP.replace(
    "    connect_timeout: 1s\n",
    "    connect_timeout: 1s\n    http2_protocol_options: {{}}\n"
    "    circuit_breakers: {{thresholds: [{{max_retries: 100}}]}}\n",
)
BUFFER = 1024 * 1024


class Calls:
    """What a client does, in threads of its own."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.unary = channel.unary_unary(path("unary"))
        self.client_stream = channel.stream_unary(path("client_stream"))
        self.server_stream = channel.unary_stream(path("server_stream"))
        self.both = channel.stream_stream(path("both"))


def unary(calls: Calls) -> None:
    assert calls.unary(b"hello", timeout=10) == b"hello"
    assert calls.unary(b"", timeout=10) == b""
    large = b"x" * 3_000_000
    assert calls.unary(large, timeout=10) == large
    assert calls.unary(b"metadata:x-own", metadata=[("x-own", "yes")], timeout=10) == b"yes"


def client_streams(calls: Calls) -> None:
    assert calls.client_stream(iter([b"a" * 50_000] * 100), timeout=10) == b"a" * 5_000_000
    assert calls.client_stream(iter([]), timeout=10) == b""


def server_streams(calls: Calls) -> None:
    assert {len(each) for each in calls.server_stream(b"10x50000", timeout=10)} == {50000}
    assert list(calls.server_stream(b"0", timeout=10)) == []


def both_ways(calls: Calls) -> None:
    """Each message waits for the answer to the one before it."""
    messages: SimpleQueue[bytes | None] = SimpleQueue()
    call: Any = calls.both(iter(messages.get, None), timeout=10)
    for number in range(50):
        messages.put(b"%d" % number)
        assert next(call) == b"%d" % number
    messages.put(None)
    assert list(call) == []
    assert dict(call.initial_metadata())["x-begun"] == "yes"
    assert dict(call.trailing_metadata())["x-ended"] == "yes"


def failures(calls: Calls) -> None:
    """Without a message, the status comes in the head (trailers-only)."""
    for code in (3, 7, 14, 16):
        with pytest.raises(grpc.RpcError) as caught:
            calls.unary(b"fail:%d" % code, timeout=10)
        assert caught.value.code().value[0] == code  # type: ignore[attr-defined]
        assert caught.value.details() == "as asked: 100%\u00e9"  # type: ignore[attr-defined]


def deadlines(calls: Calls) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        calls.unary(b"wait", timeout=0.3)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED  # type: ignore[attr-defined]


def cancellation(calls: Calls) -> None:
    call = calls.unary.future(b"wait", timeout=10)
    call.cancel()
    assert call.cancelled()
    stream = calls.server_stream(b"1000000x1000", timeout=10)
    next(stream)
    stream.cancel()


def many_at_a_time(calls: Calls) -> None:
    with ThreadPoolExecutor(20) as threads:
        sizes = [number * 100 for number in range(200)]
        answers = threads.map(lambda size: calls.unary(b"x" * size, timeout=10), sizes)
        assert [len(answer) for answer in answers] == sizes


async def through(work: Callable[[Server, int], Awaitable[None]], retry: str = "", **options: Any) -> None:
    timeout = f"0s, retry_policy: {{retry_on: {retry}, num_retries: 9}}" if retry else "0s"
    with grpc_server(**options) as origin:
        async with proxy(HTTP2.format(port=origin, buffer=BUFFER, timeout=timeout)) as (server, port):
            await work(server, port)


def run(work: Callable[[Server, int], Awaitable[None]], **options: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(through(work, **options))


@pytest.mark.parametrize(
    "do", [unary, client_streams, server_streams, both_ways, failures, deadlines, cancellation, many_at_a_time]
)
def test_calls(do: Callable[[Calls], None]) -> None:
    async def work(server: Server, port: int) -> None:
        before = transient(server)
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel:
            await asyncio.to_thread(do, Calls(channel))
            cluster = server.ctx.clusters.by_name["origin"]
            await settled(lambda: cluster.stats.upstream_rq_active == 0, "an exchange outlives its call")
            assert cluster.stats.upstream_cx_http2_total == 1
        await settled(lambda: not transient(server) - before, "something outlives its call")

    run(work)


def test_a_server_with_few_streams() -> None:
    """There are as many connections to it as it takes. What it refuses all the same (a call counts with it until its
    thread is done) goes out once more: none of the calls fails.
    """

    async def work(server: Server, port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            calls = Calls(channel)
            await asyncio.to_thread(unary, calls)
            await asyncio.to_thread(many_at_a_time, calls)
        assert server.ctx.clusters.by_name["origin"].stats.upstream_cx_http2_total > 1

    run(work, retry="refused-stream", streams=5)


def test_a_client_that_asks_often_whether_we_are_there() -> None:
    async def work(server: Server, port: int) -> None:
        options = [("grpc.keepalive_time_ms", 1000), ("grpc.keepalive_timeout_ms", 1000),
                   ("grpc.http2.max_pings_without_data", 0), ("grpc.keepalive_permit_without_calls", 1)]  # fmt: skip
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            calls = Calls(channel)
            await asyncio.to_thread(unary, calls)
            await asyncio.sleep(1.2)
            await asyncio.to_thread(unary, calls)
        assert server.ctx.clusters.by_name["origin"].stats.upstream_cx_http2_total == 1

    run(work)
