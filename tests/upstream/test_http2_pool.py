"""HTTP/2 connections of one worker to one endpoint, with the h2 library as the upstream."""

import asyncio
import gc
import random
from collections.abc import Callable, Iterator
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest

from meshproxy.http.failures import CONNECTION_TERMINATED, OVERFLOW, PROTOCOL_ERROR, REMOTE_REFUSED
from meshproxy.http.headers import RequestHeaders
from meshproxy.net.tasks import running
from meshproxy.upstream.cluster import Cluster
from tests.upstream.fakes import Try, begin, exchange, make_cluster, on_loop, settled, until, upstream

Answer = Callable[["Peer", int], None]
ANSWER = [(":status", "200"), ("content-length", "2")]


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = running()
    yield
    assert running() == before


class Peer:
    """Serves one connection: `answer(peer, stream)` is called at the end of each request."""

    def __init__(self, answer: Answer, max_streams: int | None = None) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.answer = answer
        self.max_streams = max_streams
        self.writer: Any = None
        self.resets: list[int] = []

    def ok(self, stream: int) -> None:
        self.h2.send_headers(stream, ANSWER)
        self.h2.send_data(stream, b"ok", end_stream=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.h2.initiate_connection()
        if self.max_streams is not None:
            self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self.max_streams})
        while True:
            writer.write(self.h2.data_to_send())
            data = await reader.read(65536)
            if not data:
                return
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.StreamEnded):
                    self.answer(self, event.stream_id)
                elif isinstance(event, h2.events.StreamReset):
                    self.resets.append(event.error_code)
                elif isinstance(event, h2.events.DataReceived):
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)


class Peers:
    """Makes a peer for each connection, and keeps them."""

    def __init__(self, answer: Answer = Peer.ok, max_streams: int | None = None) -> None:
        self.all: list[Peer] = []
        self._make = lambda: Peer(answer, max_streams)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = self._make()
        self.all.append(peer)
        await peer.serve(reader, writer)


def cluster_of(address: tuple[str, int], **settings: Any) -> Cluster:
    return make_cluster(address, protocol="http2", **settings)


async def ended(cluster: Cluster) -> None:
    """The cluster goes, and nothing of it stays."""
    cluster.close()
    await until(lambda: settled(cluster))


def hang(peer: Peer, stream: int) -> None:
    """The answer never comes."""


@on_loop
async def test_many_exchanges_share_a_connection() -> None:
    async with upstream(Peers()) as server:
        cluster = cluster_of(server.address)
        tries = [begin(cluster) for _ in range(50)]
        for attempt in tries:
            await attempt.done.wait()
            assert (attempt.status, attempt.body) == (200, b"ok")
        stats = cluster.stats
        assert (server.accepted, stats.upstream_cx_http2_total, stats.upstream_rq_pending_total) == (1, 1, 50)
        assert stats.http2.streams_active == 0
        await ended(cluster)
        assert stats.upstream_rq_per_cx.counts == {50: 1}


@on_loop
async def test_the_peers_limit_makes_more_connections() -> None:
    """Those on their way know of it as soon as one connection does."""
    held: list[tuple[Peer, int]] = []
    peers = Peers(lambda peer, stream: held.append((peer, stream)), max_streams=2)
    async with upstream(peers) as server:
        cluster = cluster_of(server.address)
        tries = [begin(cluster)]
        pool: Any = cluster.endpoints[0].pools[0]
        await until(lambda: len(held) == 1 and pool.limit == 2)
        tries += [begin(cluster) for _ in range(5)]
        await until(lambda: len(held) == 6)
        assert server.accepted == 3
        for peer, stream in held:
            peer.ok(stream)
            peer.writer.write(peer.h2.data_to_send())
        for attempt in tries:
            await attempt.done.wait()
        await ended(cluster)


@on_loop
async def test_requests_and_age_end_a_connection() -> None:
    async with upstream(Peers()) as server:
        cluster = cluster_of(server.address, max_requests=2)
        for _ in range(3):
            assert (await exchange(cluster)).status == 200
        await until(lambda: cluster.stats.upstream_cx_active == 1)
        assert (server.accepted, cluster.stats.upstream_cx_max_requests) == (2, 1)
        await ended(cluster)


@on_loop
async def test_connections_that_began_together_need_not_end_together() -> None:
    async with upstream(Peers()) as server:
        cluster = cluster_of(server.address, max_duration=0.05, max_duration_jitter=100.0, preconnect_ratio=3.0)
        cluster.pool_settings.http2.max_concurrent_streams = 1
        assert (await exchange(cluster)).status == 200
        await until(lambda: not cluster.stats.upstream_cx_active)
        assert cluster.stats.upstream_cx_max_duration_reached == server.accepted == 3
        await ended(cluster)


@on_loop
async def test_what_goaway_says_was_not_seen_is_refused() -> None:
    def go_away(peer: Peer, stream: int) -> None:
        if stream == 3:
            peer.h2.close_connection(last_stream_id=1)

    async with upstream(Peers(go_away)) as server:
        cluster = cluster_of(server.address)
        seen, unseen = begin(cluster), begin(cluster)
        await unseen.done.wait()
        assert unseen.failure is REMOTE_REFUSED
        cluster.endpoints[0].close()
        assert not seen.done.is_set()
        assert seen.client is not None
        seen.client.abandon()
        await ended(cluster)


@on_loop
async def test_the_limit_of_requests_holds_for_streams() -> None:
    async with upstream(Peers(hang)) as server:
        cluster = cluster_of(server.address)
        cluster.limits[0].requests.maximum = 1
        endpoint = cluster.endpoints[0]
        pool = cluster.pool(endpoint)
        assert pool is not None
        assert pool.begin() and not pool.begin()
        pool.end()
        attempt = begin(cluster)
        await attempt.ready.wait()
        assert attempt.client is not None
        attempt.client.abandon()
        cluster.limits[0].pending.maximum = 0
        cluster.close()
        await until(lambda: settled(cluster))
        late = begin(cluster)
        assert late.failure is OVERFLOW


@on_loop
async def test_a_peer_that_only_hangs_gets_any_number_of_resets() -> None:
    """They are no flood: it has read them all."""
    peers = Peers(hang)
    async with upstream(peers) as server:
        cluster = cluster_of(server.address)
        for _ in range(1500):
            attempt = begin(cluster)
            await attempt.ready.wait()
            assert attempt.client is not None
            attempt.client.abandon()
            await asyncio.sleep(0)
        await until(lambda: len(peers.all[0].resets) == 1500)
        assert (server.accepted, cluster.stats.upstream_rq_tx_reset) == (1, 1500)
        await ended(cluster)


@on_loop
async def test_a_peer_that_reads_nothing_holds_the_request_back_and_nothing_else() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.Event().wait()

    class Upload(Try):
        paused = 0

        def on_ready(self, client: Any) -> None:
            self.client = client
            client.send_headers(self, RequestHeaders("POST", "/", "a.test", []), False)
            client.send_data(b"x" * 5_000_000, True)
            self.ready.set()

        def on_write_paused(self) -> None:
            self.paused += 1

    async with upstream(deaf) as server:
        cluster = cluster_of(server.address)
        pool = cluster.pool(cluster.endpoints[0])
        assert pool is not None
        attempt = Upload()
        assert pool.take(attempt) is None
        await attempt.ready.wait()
        assert attempt.paused == 1 and cluster.stats.http2.pending_send_bytes > 4_000_000
        assert attempt.client is not None
        attempt.client.abandon()
        assert cluster.stats.http2.pending_send_bytes == 0
        await ended(cluster)


WHOLE = b"".join(
    [
        bytes.fromhex("000000040000000000"),  # SETTINGS
        bytes.fromhex("000001010400000001") + b"\x88",  # HEADERS, :status 200
        bytes.fromhex("000005000000000001") + b"hello",
        bytes.fromhex("000008060000000000") + b"ping-num",
        bytes.fromhex("00000101050000000188"),  # HEADERS once more, as trailers that are none
    ]
)


@on_loop
async def test_nothing_is_left_of_a_connection_that_breaks_at_any_byte() -> None:
    dice = random.Random(4)

    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        data = bytearray(WHOLE[: dice.randrange(len(WHOLE) + 1)])
        if data and dice.random() < 0.5:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        writer.write(data)
        if dice.random() < 0.3:
            writer.transport.abort()

    async with upstream(broken) as server:
        cluster = cluster_of(server.address)
        outcomes = set()
        for _ in range(400):
            attempt = begin(cluster)
            await attempt.done.wait()
            outcomes.add(attempt.failure)
        assert {CONNECTION_TERMINATED, PROTOCOL_ERROR} <= outcomes
        await ended(cluster)
        assert cluster.stats.http2.streams_active == 0
        del attempt
        gc.collect()
        left = [each for each in gc.get_objects() if type(each).__name__ in ("Http2Exchange", "Http2Client")]
        assert len(left) <= 1
