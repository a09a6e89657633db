"""After ten thousand exchanges that broke, nothing of them is left."""

import asyncio
import random
import socket
import struct

import uvloop

from meshproxy.net import tasks

from .http2_client import GET_BLOCK, HELLO, PREFACE, frame, get
from .world import HTTP, descriptors, pooled, proxy, settled, transient, upstream

EXCHANGES = 10_000
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
REQUESTS = (
    b"",
    b"\x16\x03\x01\x02",
    b"GET / HT",
    b"GARBAGE\r\n\r\n",
    GET,
    GET[:-2],
    GET * 3,
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n",
    PREFACE,
    HELLO,
    HELLO + get(1),
    HELLO + get(1) + get(3) + frame(3, 0, 1, b"\0\0\0\x08"),
    HELLO + frame(1, 4, 1, GET_BLOCK),
    HELLO + frame(1, 4, 1, GET_BLOCK) + frame(0, 0, 1, b"abc"),
    HELLO + frame(1, 0, 1, GET_BLOCK),
    HELLO + frame(1, 5, 1, b"\x82"),
    HELLO + get(1) + frame(4, 1, 0, b"x"),
    HELLO + get(1) + frame(8, 0, 1, b"\0\0\0\0"),
)
ANSWERS = (
    b"",
    b"HTTP/1.1 20",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabcdef",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
)


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def answer_badly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    dice = random.Random(writer.get_extra_info("peername")[1])
    await reader.read(100)
    writer.write(dice.choice(ANSWERS))
    if dice.random() < 0.3:
        reset(writer)


async def ask_badly(port: int, dice: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(dice.choice(REQUESTS))
        if dice.random() < 0.6:
            async with asyncio.timeout(0.05):
                await reader.read(1000)
        if dice.random() < 0.3:
            reset(writer)
    except (ConnectionError, TimeoutError):
        return
    finally:
        writer.close()


async def break_many(port: int, count: int) -> None:
    dice = random.Random(count)

    async def some() -> None:
        for _ in range(count // 100):
            await ask_badly(port, dice)

    await asyncio.gather(*[some() for _ in range(100)])


async def scenario() -> None:
    async with (
        upstream(answer_badly) as origin,
        proxy(HTTP.format(port=origin, buffer=65536, timeout="1s")) as (server, port),
    ):
        await break_many(port, 500)
        await settled(lambda: not transient(server) and not tasks.running(), "the warm-up is over")
        before = descriptors() - 2 * pooled(server)
        await break_many(port, EXCHANGES)
        await settled(lambda: not tasks.running(), f"{tasks.running()} tasks are left")
        await settled(lambda: not transient(server), f"left: {transient(server)}")
        await settled(lambda: descriptors() - 2 * pooled(server) <= before, "descriptors are left")


# Everything that a route can have beside one plain try; half of the answers of `answer_badly` call for another.
RETRIED = """1s, hedge_policy: {hedge_on_per_try_timeout: true}, internal_redirect_policy: {},
                  retry_policy: {retry_on: 5xx, num_retries: 3, per_try_timeout: 0.01s, per_try_idle_timeout: 0.5s,
                  retry_back_off: {base_interval: 0.002s}}, request_mirror_policies: [{cluster: origin}]"""


async def ask_patiently(port: int, number: int) -> None:
    """One of three leaves while it waits."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET if number % 2 else b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
    try:
        async with asyncio.timeout(0.02 if number % 3 == 0 else 3):
            await reader.read(1000)
    except (ConnectionError, TimeoutError):
        return
    finally:
        writer.close()


async def retried() -> None:
    async with upstream(answer_badly) as origin:
        text = HTTP.format(port=origin, buffer=65536, timeout=RETRIED)
        breakers = "circuit_breakers: {thresholds: [{max_retries: 50}]}"
        text = text.replace("  - name: origin\n", f"  - name: origin\n    {breakers}\n")
        async with proxy(text) as (server, port):
            await asyncio.gather(*[ask_patiently(port, number) for number in range(300)])
            await settled(lambda: not tasks.running(), f"{tasks.running()} tasks are left")
            await settled(lambda: not transient(server), f"left: {transient(server)}")
            (cluster,) = server.ctx.clusters
            assert cluster.stats.upstream_rq_retry > 100
            assert (cluster.limits[0].retries.total, cluster.limits[0].requests.total) == (0, 0)


def test_nothing_is_left_of_broken_exchanges() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_nothing_is_left_of_tries_and_copies() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(retried())
