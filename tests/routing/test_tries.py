"""Requests that are tried again, hedged and mirrored, on real sockets; what scenarios beside Envoy cannot count."""

import asyncio
import socket
import struct
from collections import Counter
from typing import Any

from meshproxy.net import tasks
from meshproxy.net.randomness import source
from tests.routing.proxy import Proxy, cluster, proxy
from tests.upstream.fakes import OK, on_loop, read_head, serve_ok, until, upstream

MANY = {"thresholds": [{"max_retries": 1000}]}
RESET = {"retry_on": "reset", "num_retries": 2, "retry_back_off": {"base_interval": "0.001s"}}


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


async def serve_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    reset(writer)


async def statuses(made: Proxy, count: int, head: bytes = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n") -> Counter[bytes]:
    """What `count` requests get, twenty at a time."""
    found: Counter[bytes] = Counter()

    async def some() -> None:
        reader, writer = await made.connect()
        for _ in range(count // 20):
            writer.write(head)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in answer.split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            found[answer[9:12]] += 1
        writer.close()

    await asyncio.gather(*[some() for _ in range(20)])
    return found


@on_loop
async def test_half_of_the_upstreams_reset() -> None:
    """Each try meets the broken one of two with 0.5. Of 4,000 requests 1 - 0.5³ succeed, within 2 %: 3.8 sigma."""
    source("balancing").seed(7)
    async with upstream(serve_reset) as bad, upstream(serve_ok) as good:
        trees = cluster("c", bad.address, good.address, lb_policy="RANDOM", circuit_breakers=MANY)
        async with proxy(trees, route={"retry_policy": RESET}) as made:
            found = await statuses(made, 4000)
            stats = made.cluster.stats
            assert set(found) == {b"200", b"503"}
            assert abs(found[b"200"] / 4000 - 0.875) < 0.02
            assert stats.upstream_rq_retry_limit_exceeded == found[b"503"]
            assert made.cluster.limits[0].retries.total == 0
            assert stats.upstream_rq_total == 4000 + stats.upstream_rq_retry


@on_loop
async def test_nothing_unsafe_is_sent_twice() -> None:
    """What an upstream has seen of a POST it may have done; so has one whose pooled connection dies."""
    seen: Counter[bytes] = Counter()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            number = head.split(b" ")[1]
            await reader.readexactly(4)
            seen[number] += 1
            if int(number[1:]) % 3 == 0:
                reset(writer)
                return
            writer.write(OK)

    policy = {"retry_on": "connect-failure,reset-before-request,refused-stream", "num_retries": 5}
    async with upstream(serve) as one, upstream(serve) as other:
        trees = cluster("c", one.address, other.address, circuit_breakers=MANY)
        async with proxy(trees, route={"retry_policy": policy}) as made:
            reader, writer = await made.connect()
            for number in range(300):
                writer.write(b"POST /%d HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody" % number)
                head = await reader.readuntil(b"\r\n\r\n")
                assert head[9:12] == (b"200" if number % 3 else b"503")
                length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
            writer.close()
    assert seen == Counter({b"/%d" % number: 1 for number in range(300)})


@on_loop
async def test_a_stale_connection_costs_no_retry_that_is_wanted_for_more() -> None:
    """A policy without retries left does not keep what is safe from being sent once more."""
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        await read_head(reader)
        served += 1
        writer.write(OK)
        await read_head(reader)

    policy = {"retry_on": "reset", "num_retries": 0}
    async with upstream(serve) as origin, proxy(cluster("c", origin.address), route={"retry_policy": policy}) as made:
        reader, writer = await made.connect()
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert (await reader.readuntil(b"ok"))[9:12] == b"200"
        writer.close()
        assert served == 2
        assert made.cluster.stats.upstream_rq_retry_limit_exceeded == 0


@on_loop
async def test_a_client_that_leaves_while_a_retry_waits() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_head(reader):
            writer.write(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")

    policy = {"retry_on": "5xx", "retry_back_off": {"base_interval": "100s"}}
    async with upstream(serve) as origin, proxy(cluster("c", origin.address), route={"retry_policy": policy}) as made:
        _, writer = await made.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        retries = made.cluster.limits[0].retries
        await until(lambda: retries.total == 1)
        writer.close()
        await until(lambda: retries.total == 0)
        assert made.streams[0].flags == ("DC",)
        assert made.cluster.stats.upstream_rq_retry == 0


@on_loop
async def test_a_body_outgrows_its_limit_while_a_retry_waits() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")
        await reader.read()

    policy = {"retry_on": "5xx", "retry_back_off": {"base_interval": "100s"}}
    async with upstream(serve) as origin, proxy(cluster("c", origin.address), route={"retry_policy": policy}) as made:
        made.manager.buffer_limit = 10
        reader, writer = await made.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n12345")
        await until(lambda: made.cluster.limits[0].retries.total == 1)
        writer.write(b"67890123")
        answer = await reader.readuntil(b"retrying upstream")
        assert answer[9:12] == b"507"
        writer.close()
        assert made.cluster.stats.retry_or_shadow_abandoned == 1
        await until(lambda: made.cluster.limits[0].retries.total == 0)
        assert made.streams[0].details == "request_payload_exceeded_retry_buffer_limit"


@on_loop
async def test_a_mirror_that_does_not_read_is_given_up() -> None:
    """The request that it copies does not wait for it; Envoy would let the client wait."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(32 << 20)
        writer.write(OK)

    async def stop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    async with upstream(swallow) as origin, upstream(stop) as full:
        trees: tuple[dict[str, Any], ...] = (cluster("c", origin.address), cluster("m", full.address))
        mirror = {"request_mirror_policies": [{"cluster": "m"}]}
        async with proxy(*trees, route=mirror) as made:
            reader, writer = await made.connect()
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (32 << 20))
            for _ in range(512):
                writer.write(bytes(1 << 16))
                await writer.drain()
            assert (await reader.readuntil(b"ok"))[9:12] == b"200"
            writer.close()
            await until(lambda: made.ctx.clusters.by_name["m"].limits[0].requests.total == 0)
            await until(lambda: not tasks.running())
