"""A client that goes away while its upload is held back is noticed."""

import asyncio
import socket
import struct

import uvloop

from .world import HTTP, proxy, settled, upstream


async def scenario() -> None:
    gone = asyncio.Event()
    arrived = asyncio.Event()

    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        arrived.set()
        await gone.wait()

    async with (
        upstream(never_read) as origin,
        proxy(HTTP.format(port=origin, buffer=32768, timeout="0s")) as (server, port),
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 20_000_000)
        await arrived.wait()
        stats = server.listeners[0].chains.only.terminal.manager.stats
        cluster = server.ctx.clusters.by_name["origin"].stats
        await settled(lambda: cluster.upstream_flow_control_backed_up_total > 0, "the upload is not held back")
        # Without a reset the end would wait behind the bytes that nobody takes.
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        await settled(lambda: stats.downstream_rq_active == 0, "the stream outlives its client")
        gone.set()


def test_a_client_that_goes_while_it_is_held_back_is_noticed() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
