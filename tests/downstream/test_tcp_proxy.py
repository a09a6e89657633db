"""The TCP proxy on real sockets: spliced, and through a filter that looks at the bytes."""

import asyncio
import errno
import os
import socket
from typing import Any

import pytest

from meshproxy.downstream.network_filter import NetworkFilter
from meshproxy.filters import TABLE
from meshproxy.net.connection import Connection
from meshproxy.net.splice import Pipes
from tests.downstream.serving import (
    Serving,
    listening,
    looped,
    read,
    read_all,
    reset,
    send,
    serving,
    tcp_proxy,
    until,
    upstream,
)

MEGABYTE = b"0123456789abcdef" * 65536


class Looker(NetworkFilter):
    """Sees every byte and changes none, so that nothing is spliced."""

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "Looker":
        return cls()

    def on_data(self, connection: Connection, data: bytes, end: bool) -> None:
        return None


@pytest.fixture(params=["spliced", "looked at"])
def before(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The filters before the TCP proxy."""
    if request.param == "spliced":
        return []
    sni = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster"
    monkeypatch.setitem(TABLE, sni, "network.sni_cluster:SniCluster")
    monkeypatch.setattr("meshproxy.filters.network.sni_cluster.SniCluster", Looker)
    monkeypatch.setattr("meshproxy.config.build_filter_chains.find_extension", lambda _name: Looker)
    return [{"name": "looker", "typed_config": {"@type": f"type.googleapis.com/{sni}"}}]


Before = list[dict[str, Any]]


async def echo(sock: socket.socket) -> None:
    """Sends everything back, and its own end after the client's."""
    while data := await asyncio.get_running_loop().sock_recv(sock, 65536):
        await send(sock, data)


def stats(served: Serving) -> Any:
    return served.listener.chains.only.terminal.stats  # type: ignore[union-attr]


def cluster_stats(served: Serving) -> Any:
    return served.ctx.clusters.by_name["origin"].stats


@looped
async def test_large_bodies_go_both_ways(before: Before) -> None:
    async with upstream(echo) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        with await served.connect() as client:
            async with asyncio.TaskGroup() as group:
                group.create_task(send_and_end(client, MEGABYTE))
                received = group.create_task(read_all(client))
        assert received.result() == MEGABYTE
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        assert stats(served).downstream_cx_rx_bytes_total == len(MEGABYTE)
        assert stats(served).downstream_cx_tx_bytes_total == len(MEGABYTE)
        assert cluster_stats(served).upstream_cx_tx_bytes_total == len(MEGABYTE)
        assert cluster_stats(served).upstream_cx_rx_bytes_total == len(MEGABYTE)


async def send_and_end(sock: socket.socket, data: bytes) -> None:
    await send(sock, data)
    sock.shutdown(socket.SHUT_WR)


@looped
async def test_upstream_that_ends_first_still_hears_the_client(before: Before) -> None:
    heard: list[bytes] = []

    async def end_then_listen(sock: socket.socket) -> None:
        await send(sock, b"bye")
        sock.shutdown(socket.SHUT_WR)
        heard.append(await read_all(sock))

    async with upstream(end_then_listen) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        with await served.connect() as client:
            assert await read_all(client) == b"bye"
            await send(client, b"one more thing")
            client.shutdown(socket.SHUT_WR)
            await until(lambda: heard)
    assert heard == [b"one more thing"]


@looped
async def test_client_that_ends_first_still_hears_the_upstream(before: Before) -> None:
    async def listen_then_speak(sock: socket.socket) -> None:
        await send(sock, (await read_all(sock)).upper())

    async with upstream(listen_then_speak) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        assert await served.ask(b"question", end=True) == b"QUESTION"
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        assert cluster_stats(served).upstream_cx_destroy_remote == 1


@looped
async def test_upstream_reset_reaches_the_client(before: Before) -> None:
    async def read_and_reset(sock: socket.socket) -> None:
        await read(sock, 5)
        reset(sock)

    async with upstream(read_and_reset) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        with await served.connect() as client, pytest.raises(ConnectionResetError):
            await send(client, b"hello")
            await read_all(client)
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        assert cluster_stats(served).upstream_cx_destroy_remote_with_active_rq == 1


@looped
async def test_client_reset_reaches_the_upstream(before: Before) -> None:
    fates: list[str] = []

    async def wait_for_end(sock: socket.socket) -> None:
        await read(sock, 5)
        try:
            await read_all(sock)
            fates.append("end")
        except ConnectionResetError:
            fates.append("reset")

    async with upstream(wait_for_end) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        client = await served.connect()
        await send(client, b"hello")
        await until(lambda: stats(served).downstream_cx_rx_bytes_total == 5)
        reset(client)
        await until(lambda: fates)
    assert fates == ["reset"]


@looped
async def test_slow_reader_pauses_the_other_side(before: Before) -> None:
    """What the client does not read stays with the sender, apart from the sockets' buffers and one pipe."""
    async def pour(sock: socket.socket) -> None:
        for _ in range(32):
            await send(sock, MEGABYTE)

    async with upstream(pour) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        with await served.connect() as client:
            await until(lambda: cluster_stats(served).upstream_flow_control_paused_reading_total)
            assert stats(served).downstream_cx_tx_bytes_total < 16 * len(MEGABYTE)
            assert len(await read_all(client)) == 32 * len(MEGABYTE)
            assert cluster_stats(served).upstream_flow_control_resumed_reading_total


@looped
async def test_client_that_resets_while_it_does_not_read_frees_everything(before: Before) -> None:
    async def pour(sock: socket.socket) -> None:
        try:
            while True:
                await send(sock, MEGABYTE)
        except ConnectionError:
            return

    async with upstream(pour) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        client = await served.connect()
        await until(lambda: cluster_stats(served).upstream_flow_control_paused_reading_total)
        reset(client)
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        assert cluster_stats(served).upstream_cx_active == 0
        assert not served.listener.chains.only.terminal.sessions  # type: ignore[union-attr]


@looped
async def test_data_sent_before_the_upstream_is_connected_arrives(before: Before) -> None:
    async with upstream(echo) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        assert await served.ask(b"early", end=True) == b"early"


@looped
async def test_refused_connection_is_tried_as_often_as_allowed(before: Before) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    async with serving(*before, tcp_proxy(max_connect_attempts=3), clusters={"origin": port}) as served:
        assert await served.ask() == b""
        found = cluster_stats(served)
        assert found.upstream_cx_connect_fail == 3
        assert found.upstream_cx_connect_attempts_exceeded == 1
        assert found.upstream_rq_pending_failure_eject == 3
        assert found.upstream_cx_active == 0
        assert served.ctx.clusters.by_name["origin"].limits[0].connections.own == 0


@looped
async def test_attempts_may_be_spaced() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    proxy = tcp_proxy(max_connect_attempts=3, backoff_options={"base_interval": "0.01s", "max_interval": "0.015s"})
    async with serving(proxy, clusters={"origin": port}) as served:
        pauses = []
        terminal: Any = served.listener.chains.only.terminal  # type: ignore[union-attr]
        pause = terminal.pause
        terminal.pause = lambda attempts: pauses.append(pause(attempts)) or 0.0
        assert await served.ask() == b""
        assert cluster_stats(served).upstream_cx_connect_fail == 3
    assert len(pauses) == 2
    assert all(0 <= pause <= most for pause, most in zip(pauses, (0.01, 0.015), strict=True))


@looped
async def test_no_cluster_no_endpoint_no_room() -> None:
    async with serving(tcp_proxy(cluster="missing")) as served:
        assert await served.ask() == b""
        assert stats(served).downstream_cx_no_route == 1
    async with serving(tcp_proxy(), clusters={"origin": 0}) as served:
        assert await served.ask() == b""
        assert cluster_stats(served).upstream_cx_none_healthy == 1
    async with serving(tcp_proxy(), clusters={"origin": 1}) as served:
        served.ctx.clusters.by_name["origin"].limits[0].connections.maximum = 0
        assert await served.ask() == b""
        assert cluster_stats(served).upstream_cx_overflow == 1


@looped
async def test_idle_connections_are_closed(before: Before) -> None:
    async with upstream(echo) as port:
        proxy = tcp_proxy(idle_timeout="0.05s")
        async with serving(*before, proxy, clusters={"origin": port}) as served:
            with await served.connect() as client:
                await send(client, b"x")
                assert await read_all(client) == b"x"
            assert stats(served).idle_timeout == 1


@looped
async def test_connections_end_after_their_longest_time(before: Before) -> None:
    async with upstream(echo) as port:
        proxy = tcp_proxy(max_downstream_connection_duration="0.05s", idle_timeout="0s")
        async with serving(*before, proxy, clusters={"origin": port}) as served:
            assert await served.ask(b"x") == b"x"
            assert stats(served).max_downstream_connection_duration == 1


@looped
async def test_weights_spread_connections() -> None:
    async def first(sock: socket.socket) -> None:
        await send(sock, b"1")

    async def second(sock: socket.socket) -> None:
        await send(sock, b"2")

    weighted = {"clusters": [{"name": "one", "weight": 1}, {"name": "two", "weight": 3}]}
    proxy = tcp_proxy(weighted_clusters=weighted)
    del proxy["typed_config"]["cluster"]
    async with upstream(first) as one, upstream(second) as two:
        async with serving(proxy, clusters={"one": one, "two": two}) as served:
            answers = [await served.ask() for _ in range(200)]
    assert 20 < answers.count(b"1") < 90
    assert answers.count(b"1") + answers.count(b"2") == 200


@looped
async def test_sniffed_bytes_are_relayed_too() -> None:
    async with upstream(echo) as port:
        inspector = listening("http_inspector", "HttpInspector")
        async with serving(tcp_proxy(), clusters={"origin": port}, listener_filters=[inspector]) as served:
            assert await served.ask(b"GET / HTTP/1.1\r\n\r\n", end=True) == b"GET / HTTP/1.1\r\n\r\n"


@looped
async def test_nothing_is_left_over_after_many_connections(before: Before) -> None:
    async with upstream(echo) as port, serving(*before, tcp_proxy(), clusters={"origin": port}) as served:
        await served.ask(b"warm", end=True)
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        open_before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            await served.ask(b"x", end=True)
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        await until(lambda: len(os.listdir("/proc/self/fd")) <= open_before)


@looped
async def test_without_descriptors_for_pipes_bytes_still_flow(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pipe(_pipes: Pipes) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Pipes, "take", no_pipe)
    async with upstream(echo) as port, serving(tcp_proxy(), clusters={"origin": port}) as served:
        with await served.connect() as client:
            async with asyncio.TaskGroup() as group:
                group.create_task(send_and_end(client, MEGABYTE))
                received = group.create_task(read_all(client))
        assert received.result() == MEGABYTE
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        assert stats(served).downstream_cx_tx_bytes_total == len(MEGABYTE)
