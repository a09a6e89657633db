"""Clients that attack over HTTP/2 are told off or cut, what they cost is bounded, and others are served meanwhile."""

import asyncio
import resource
from collections.abc import Awaitable, Callable, Iterator

import uvloop

from meshproxy.process.server import Server

from .http2_client import GET_BLOCK, HELLO, Client, frame, get
from .world import HTTP, proxy, settled, transient, upstream


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while (line := await reader.readline()).strip():
        while (await reader.readline()).strip():
            pass
        size = 300_000 if b"/large" in line else 2
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)


def stat(server: Server, name: str) -> int:
    """Of the group `http2` or `http.in`."""
    return sum(
        int(getattr(group, name))
        for prefix, group in server.ctx.stats.groups()
        if prefix in ("http2", "http.in") and name in group.NUMBERS
    )


def rapid_reset() -> Iterator[bytes]:
    for number in range(1, 4001, 2):
        yield get(number) + frame(3, 0, number, b"\0\0\0\x08")


def pings() -> Iterator[bytes]:
    for _ in range(200):
        yield frame(6, 0, 0, b"12345678") * 1000


def settings() -> Iterator[bytes]:
    for _ in range(200):
        yield frame(4, 0, 0, b"\0\4\0\0\xff\xff") * 1000


def empty_data() -> Iterator[bytes]:
    yield frame(1, 4, 1, GET_BLOCK)
    for _ in range(20):
        yield frame(0, 0, 1) * 1000


def empty_continuations() -> Iterator[bytes]:
    yield frame(1, 0, 1)
    for _ in range(20):
        yield frame(9, 0, 1) * 1000


def continuations() -> Iterator[bytes]:
    yield frame(1, 0, 1, GET_BLOCK)
    for _ in range(2000):
        yield frame(9, 0, 1, b"\0\1a\x7f\x81\x7d" + b"b" * 16000)


def priorities() -> Iterator[bytes]:
    for _ in range(20):
        yield frame(2, 0, 3, b"\0\0\0\0\1") * 1000


def window_updates() -> Iterator[bytes]:
    for _ in range(20):
        yield frame(8, 0, 0, b"\0\0\0\1") * 1000


def hpack_bomb() -> Iterator[bytes]:
    """A large header once into the table, then thousands of references to it in each request."""
    large = b"\x40\1a\x7f\x80\x1e" + b"x" * (0x7F + 0xF00)
    yield frame(1, 5, 1, GET_BLOCK + large)
    for number in range(3, 101, 2):
        yield frame(1, 5, number, b"\x82\x86\x84\xbf" + b"\xbe" * 16000)


def late_data() -> Iterator[bytes]:
    """Data for a stream that is over."""
    yield get(1)
    for _ in range(100):
        yield frame(0, 0, 1, b"x") * 100


ATTACKS: list[tuple[Callable[[], Iterator[bytes]], str]] = [
    (rapid_reset, "downstream_rq_too_many_premature_resets"),
    (pings, "outbound_control_flood"),
    (settings, "outbound_control_flood"),
    (empty_data, "inbound_empty_frames_flood"),
    (empty_continuations, "inbound_empty_frames_flood"),
    (continuations, "downstream_cx_protocol_error"),
    (priorities, "inbound_priority_frames_flood"),
    (window_updates, "inbound_window_update_frames_flood"),
    (hpack_bomb, "downstream_cx_protocol_error"),
    (late_data, "downstream_cx_protocol_error"),
]


async def attack(port: int, pieces: Iterator[bytes]) -> None:
    """Writes without ever reading, until it is cut off or has nothing more."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(HELLO)
        for piece in pieces:
            writer.write(piece)
            async with asyncio.timeout(5):
                await writer.drain()
    except (ConnectionError, TimeoutError):
        return
    finally:
        writer.transport.abort()


def run(scenario: Callable[[Server, int], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with (
            upstream(answer) as origin,
            proxy(HTTP.format(port=origin, buffer=65536, timeout="5s")) as (server, port),
        ):
            await scenario(server, port)
            await settled(lambda: not transient(server), f"left: {transient(server)}")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(inside())


async def survive(server: Server, port: int, pieces: Callable[[], Iterator[bytes]], counter: str) -> None:
    """Three attack at once, while one who means no harm asks again and again."""
    name = pieces.__name__
    good = await Client.connect(port)
    assert await good.get() == (200, b"xx")
    counted, memory = stat(server, counter), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attacks = asyncio.gather(*[attack(port, pieces()) for _ in range(3)])
    answers = [await good.get() for _ in range(30)]
    await attacks
    answers += [await good.get() for _ in range(5)]
    assert answers == [(200, b"xx")] * 35, name
    assert stat(server, counter) >= counted + 3, name
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 32 * 1024, name
    good.close()


def test_attacks_harm_nobody_else() -> None:
    async def scenario(server: Server, port: int) -> None:
        for pieces, counter in ATTACKS:
            await survive(server, port, pieces, counter)

    run(scenario)


def test_clients_that_open_no_windows_hold_no_more_than_the_buffer_limit() -> None:
    async def scenario(server: Server, port: int) -> None:
        good = await Client.connect(port)
        streams = [frame(1, 5, number, bytes.fromhex("828604062f6c61726765410161")) for number in range(1, 21, 2)]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        # A window of nothing: the whole of each answer would have to wait.
        writer.write(HELLO[:24] + frame(4, 0, 0, b"\0\4\0\0\0\0") + b"".join(streams))
        await settled(lambda: stat(server, "pending_send_bytes") > 65536, "nothing waits")
        assert await good.get("/large") == (200, b"x" * 300_000)
        # What one read of the upstream's socket gives may come on top.
        assert stat(server, "pending_send_bytes") <= 10 * (65536 + 256 * 1024)
        writer.transport.abort()
        await settled(lambda: stat(server, "pending_send_bytes") == 0, "it waits for ever")
        good.close()

    run(scenario)
