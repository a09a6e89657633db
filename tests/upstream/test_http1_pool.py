"""Connections of one worker to one endpoint, over real sockets."""

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest
import uvloop

from meshproxy.http.failures import (
    CONNECT_FAILED,
    CONNECT_TIMEOUT,
    CONNECTION_TERMINATED,
    LOCAL_CONNECT_FAILED,
    OVERFLOW,
    PROTOCOL_ERROR,
)
from meshproxy.net.count import Counts
from meshproxy.net.tasks import running
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.host_limits import HostLimits
from tests.upstream.fakes import OK, Try, begin, black_hole, exchange, make_cluster, read_head, settled, until, upstream


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = running()
    yield
    assert running() == before


def run(work) -> None:  # type: ignore[no-untyped-def]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work(), 30))


def test_a_connection_serves_one_exchange_after_the_other() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            for _ in range(3):
                attempt = await exchange(cluster)
                assert (attempt.status, attempt.body) == (200, b"ok")
            stats = cluster.stats
            assert server.accepted == 1
            assert (stats.upstream_cx_total, stats.upstream_cx_http1_total, stats.upstream_cx_active) == (1, 1, 1)
            assert stats.upstream_rq_pending_total == 1
            cluster.close()
            await until(lambda: settled(cluster))
            assert (stats.upstream_cx_destroy, stats.upstream_cx_destroy_local) == (1, 1)
            assert stats.upstream_cx_destroy_with_active_rq == 0
            assert stats.upstream_rq_per_cx.counts == {3: 1}

    run(work)


def test_waiting_attempts_are_served_in_order_and_each_has_a_dial() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            tries = [begin(cluster) for _ in range(5)]
            assert cluster.stats.upstream_rq_pending_active == cluster.limits[0].pending.own == 5
            for attempt in tries:
                await attempt.done.wait()
                assert attempt.status == 200
            assert cluster.stats.upstream_cx_total == 5
            cluster.close()
            await until(lambda: settled(cluster))

    run(work)


def test_one_connection_serves_those_that_wait_where_there_may_be_only_one() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            cluster.limits[0].connections.maximum = 1
            tries = [begin(cluster) for _ in range(3)]
            for attempt in tries:
                await attempt.done.wait()
                assert attempt.status == 200
            assert (cluster.stats.upstream_cx_total, server.accepted) == (1, 1)
            assert cluster.stats.upstream_cx_overflow == 2
            cluster.close()
            await until(lambda: settled(cluster))

    run(work)


def test_an_endpoint_without_connections_gets_one_beyond_the_limit() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            cluster.limits[0].connections.maximum = 0
            assert (await exchange(cluster)).status == 200
            assert cluster.stats.upstream_cx_overflow == 1
            assert cluster.limits[0].cx_open == 1
            cluster.close()
            await until(lambda: settled(cluster))

    run(work)


def test_connections_per_host_are_limited() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster()
            cluster.host_limits = HostLimits(Counts())
            cluster.host_limits.maximum[0] = 2
            cluster.set_endpoints([Endpoint(server.address)])
            tries = [begin(cluster) for _ in range(6)]
            for attempt in tries:
                await attempt.done.wait()
            assert server.accepted == 2
            count = cluster.endpoints[0].connections
            assert count is not None and count.own == 2
            cluster.close()
            await until(lambda: settled(cluster) and not count.own)

    run(work)


def test_too_many_waiting_overflow() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            cluster.limits[0].pending.maximum = 1
            first, second = begin(cluster), begin(cluster)
            assert second.failure is OVERFLOW
            assert cluster.stats.upstream_rq_pending_overflow == 1
            await first.done.wait()
            assert first.status == 200
            cluster.close()
            await until(lambda: settled(cluster))

    run(work)


def test_an_overflow_leaves_no_pool_behind() -> None:
    async def work() -> None:
        cluster = make_cluster(("127.0.0.1", 9))
        cluster.limits[0].pending.maximum = 0
        assert begin(cluster).failure is OVERFLOW
        assert settled(cluster)

    run(work)


def test_a_refused_connection_fails_all_that_wait() -> None:
    async def work() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            cluster = make_cluster(closed.getsockname())
            tries = [begin(cluster) for _ in range(2)]
            for attempt in tries:
                await attempt.done.wait()
                assert attempt.failure is CONNECT_FAILED
                assert attempt.reason == "delayed connect error: Connection refused"
            await until(lambda: settled(cluster))
            stats = cluster.stats
            assert stats.upstream_rq_pending_failure_eject == 2
            assert stats.upstream_cx_connect_fail == stats.upstream_cx_destroy_remote == 2
            assert cluster.endpoints[0].stats.cx_connect_fail == 2

    run(work)


def test_a_connection_that_takes_too_long_is_given_up() -> None:
    async def work() -> None:
        with black_hole() as address:
            cluster = make_cluster(address, connect_timeout=0.05)
            attempt = await exchange(cluster)
            assert attempt.failure is CONNECT_TIMEOUT
            assert attempt.reason == ""
            stats = cluster.stats
            assert (stats.upstream_cx_connect_timeout, stats.upstream_cx_connect_fail) == (1, 1)
            assert stats.upstream_cx_destroy_local == 1
            await until(lambda: settled(cluster))

    run(work)


def test_an_attempt_that_no_longer_waits_leaves_its_connection_to_the_next() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            attempt = begin(cluster)
            pool = cluster.endpoints[0].pools[0]
            assert pool is not None
            pool.forget(attempt)
            assert cluster.stats.upstream_rq_cancelled == 1
            assert cluster.limits[0].pending.own == 0
            await until(lambda: len(pool.idle) == 1)
            assert not attempt.ready.is_set()
            assert (await exchange(cluster)).status == 200
            assert server.accepted == 1
            cluster.close()
            await until(lambda: settled(cluster))

    run(work)


def test_idle_connections_end_after_their_time() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address, idle_timeout=0.05)
            await exchange(cluster)
            await until(lambda: settled(cluster))
            assert cluster.stats.upstream_cx_idle_timeout == 1
            assert cluster.stats.upstream_cx_destroy_local == 1

    run(work)


def test_a_busy_connection_is_not_idle() -> None:
    async def work() -> None:
        answer = asyncio.Event()

        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            await answer.wait()
            writer.write(OK)
            await reader.read()

        async with upstream(late) as server:
            cluster = make_cluster(server.address, idle_timeout=0.02)
            attempt = begin(cluster)
            await asyncio.sleep(0.06)
            answer.set()
            await attempt.done.wait()
            assert attempt.status == 200
            await until(lambda: settled(cluster))
            assert cluster.stats.upstream_cx_idle_timeout == 1

    run(work)


@pytest.mark.parametrize("idle", [True, False])
def test_connections_end_after_their_duration(idle: bool) -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address, max_duration=0.05)
            attempt = begin(cluster, send=idle)
            await (attempt.done if idle else attempt.ready).wait()
            await until(lambda: cluster.stats.upstream_cx_max_duration_reached == 1)
            if not idle:
                # Its exchange is finished first.
                attempt.send = True
                assert attempt.client is not None
                attempt.on_ready(attempt.client)
                await attempt.done.wait()
                assert attempt.status == 200
            await until(lambda: settled(cluster))

    run(work)


def test_connections_serve_as_many_exchanges_as_they_may() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address, max_requests=2)
            for _ in range(4):
                assert (await exchange(cluster)).status == 200
            await until(lambda: settled(cluster))
            assert server.accepted == 2
            assert cluster.stats.upstream_cx_max_requests == 2

    run(work)


def test_preconnecting_keeps_connections_ahead() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address, preconnect_ratio=2.0)
            attempt = begin(cluster, send=False)
            await attempt.ready.wait()
            await until(lambda: server.accepted == 2)
            assert cluster.stats.upstream_cx_total == 2
            assert attempt.client is not None
            attempt.client.abandon()
            cluster.close()
            await until(lambda: settled(cluster))

    run(work)


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"", CONNECTION_TERMINATED),
        (b"garbage\r\n\r\n", PROTOCOL_ERROR),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", PROTOCOL_ERROR),
    ],
)
def test_a_connection_that_ends_badly_is_counted_once(answer: bytes, failure: object) -> None:
    async def bad(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer)

    async def work() -> None:
        async with upstream(bad) as server:
            cluster = make_cluster(server.address)
            attempt = await exchange(cluster)
            assert attempt.failure is failure
            await until(lambda: settled(cluster))
            assert cluster.stats.upstream_cx_destroy == cluster.stats.upstream_cx_destroy_with_active_rq == 1

    run(work)


def test_a_reset_by_the_peer_is_the_end_of_the_connection() -> None:
    async def rst(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def work() -> None:
        async with upstream(rst) as server:
            cluster = make_cluster(server.address)
            assert (await exchange(cluster)).failure is CONNECTION_TERMINATED
            await until(lambda: settled(cluster))
            assert cluster.stats.upstream_cx_destroy_remote_with_active_rq == 1

    run(work)


def test_an_endpoint_that_goes_finishes_what_it_has() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            endpoint = cluster.endpoints[0]
            idle = await exchange(cluster)
            busy = begin(cluster, send=False)
            assert busy.client is idle.client
            other = await exchange(cluster)
            cluster.set_endpoints([])
            assert other.client is not None and other.client.closing
            busy.send = True
            assert busy.client is not None
            busy.on_ready(busy.client)
            await busy.done.wait()
            assert busy.status == 200
            await until(lambda: endpoint.stats.cx_active == 0)
            assert endpoint.pools == [None, None]
            assert settled(cluster)

    run(work)


@pytest.mark.parametrize("started", [True, False])
def test_closing_a_pool_ends_its_dials(started: bool) -> None:
    async def work() -> None:
        with black_hole() as address:
            cluster = make_cluster(address)
            attempt = begin(cluster)
            if started:
                await asyncio.sleep(0)
            pool = cluster.endpoints[0].pools[0]
            assert pool is not None
            pool.close()
            await attempt.done.wait()
            assert attempt.failure is LOCAL_CONNECT_FAILED
            await until(lambda: settled(cluster))

    run(work)


def test_priorities_have_pools_and_limits_of_their_own() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            await exchange(cluster)
            high = cluster.pool(cluster.endpoints[0], 1)
            assert high is not None and high is not cluster.endpoints[0].pools[0]
            attempt = begin(cluster, send=False)
            await attempt.ready.wait()
            assert cluster.limits[0].connections.own == 1
            assert cluster.limits[1].connections.own == 0
            cluster.limits[1].pending.maximum = 0
            refused = Try()
            assert high.take(refused) is None
            assert refused.failure is OVERFLOW
            assert attempt.client is not None
            attempt.client.abandon()
            await until(lambda: settled(cluster))

    run(work)


def test_a_cluster_has_as_many_pools_as_it_may() -> None:
    cluster = make_cluster(("127.0.0.1", 1), ("127.0.0.1", 2))
    cluster.limits[0].pools.maximum = 1
    assert cluster.pool(cluster.endpoints[0]) is not None
    assert cluster.pool(cluster.endpoints[1]) is None
    assert cluster.stats.upstream_cx_pool_overflow == 1
