"""The network filters that come with the proxy, in front of what they guard."""

import asyncio
from typing import Any

import pytest

from tests.downstream.serving import (
    ECHO,
    Serving,
    listening,
    looped,
    network,
    read,
    read_all,
    says,
    send,
    serving,
    tcp_proxy,
    until,
    upstream,
)
from tests.filters.listener.test_inspectors import client_hello


def guard(served: Serving) -> Any:
    """The first filter of the chain."""
    return served.listener.chains.only.filters[0]  # type: ignore[union-attr]


@looped
async def test_echo_of_more_than_any_buffer_holds() -> None:
    data = b"0123456789abcdef" * 65536 * 4
    async with serving(ECHO) as served:
        with await served.connect() as client:
            async with asyncio.TaskGroup() as group:
                group.create_task(send(client, data))
                answer = group.create_task(read(client, len(data)))
        assert answer.result() == data


@looped
async def test_direct_response_closes_after_its_words() -> None:
    async with serving(says("bye")) as served:
        assert await served.ask() == b"bye"
    async with serving(network("direct_response", "Config")) as served:
        assert await served.ask() == b""


@looped
async def test_connection_limit_counts_what_is_open() -> None:
    limit = network("connection_limit", "ConnectionLimit", stat_prefix="cl", max_connections=1)
    async with serving(limit, ECHO) as served:
        stats = guard(served).stats
        with await served.connect() as first:
            await send(first, b"1")
            assert await read(first, 1) == b"1"
            assert await served.ask() == b""
            assert (stats.active_connections, stats.limited_connections) == (1, 1)
        await until(lambda: stats.active_connections == 0)
        with await served.connect() as third:
            await send(third, b"3")
            assert await read(third, 1) == b"3"
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        assert (stats.active_connections, stats.limited_connections) == (0, 1)


@looped
async def test_connection_limit_may_be_off() -> None:
    off = {"default_value": True, "runtime_key": "limit"}
    limit = network("connection_limit", "ConnectionLimit", stat_prefix="cl", max_connections=1, runtime_enabled=off)
    async with serving(limit, says("x")) as served:
        served.ctx.runtime.set_layer("test", {"limit": False})
        with await served.connect() as first, await served.connect() as second:
            assert await read_all(first) == await read_all(second) == b"x"


@looped
async def test_connection_limit_holds_before_it_closes() -> None:
    limit = network("connection_limit", "ConnectionLimit", stat_prefix="cl", max_connections=1, delay="0.05s")
    async with serving(limit, ECHO) as served:
        with await served.connect() as first:
            await send(first, b"1")
            assert await read(first, 1) == b"1"
            with await served.connect() as second:
                await until(lambda: guard(served).stats.limited_connections)
                assert served.listener.stats.downstream_cx_active == 2
                assert await read_all(second) == b""
            assert served.listener.stats.downstream_cx_active == 1


@looped
async def test_a_filter_that_refuses_tells_those_before_it() -> None:
    limit = network("connection_limit", "ConnectionLimit", stat_prefix="cl", max_connections=10)
    bucket = {"max_tokens": 1, "fill_interval": "1000s"}
    rate = network("local_ratelimit", "LocalRateLimit", stat_prefix="rl", token_bucket=bucket)
    async with serving(limit, rate, says("x")) as served:
        assert [await served.ask() for _ in range(3)] == [b"x", b"", b""]
        stats = guard(served).stats
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        assert (stats.active_connections, stats.limited_connections) == (0, 0)
        assert served.listener.chains.only.filters[1].stats.rate_limited == 2  # type: ignore[union-attr]


@looped
async def test_filters_with_one_key_share_their_tokens() -> None:
    bucket = {"max_tokens": 1, "fill_interval": "1000s"}
    rate = network("local_ratelimit", "LocalRateLimit", stat_prefix="rl", token_bucket=bucket, share_key="test")
    async with serving(rate, says("x")) as one, serving(rate, says("x")) as other:
        assert (await one.ask(), await other.ask()) == (b"x", b"")


@looped
async def test_listener_rate_limit() -> None:
    bucket = {"max_tokens": 1, "fill_interval": "1000s"}
    rate = listening("local_ratelimit", "LocalRateLimit", stat_prefix="rl", token_bucket=bucket)
    async with serving(says("x"), listener_filters=[rate]) as served:
        assert [await served.ask(), await served.ask()] == [b"x", b""]
        assert served.listener.listener_filters[0].stats.rate_limited == 1  # type: ignore[attr-defined]


@looped
async def test_sni_cluster_takes_the_name_in_the_hello() -> None:
    async def named(sock: Any) -> None:
        await send(sock, b"named")

    async def fallback(sock: Any) -> None:
        await send(sock, b"fallback")

    filters = [network("sni_cluster", "SniCluster"), tcp_proxy(cluster="other")]
    inspector = listening("tls_inspector", "TlsInspector")
    async with upstream(named) as one, upstream(fallback) as two:
        clusters = {"backend.example": one, "other": two}
        async with serving(*filters, clusters=clusters, listener_filters=[inspector]) as served:
            for sent, answer in ((client_hello("backend.example"), b"named"), (b"plain text", b"fallback")):
                with await served.connect() as client:
                    await send(client, sent)
                    assert await read(client, len(answer)) == answer


@pytest.mark.parametrize("skip", [True, False])
@looped
async def test_set_filter_state_formats_what_is_known_of_the_connection(skip: bool) -> None:
    def setter(key: str, text: str) -> dict[str, Any]:
        source = {"omit_empty_values": True, "text_format_source": {"inline_string": text}}
        return {"object_key": key, "factory_key": "envoy.string", "format_string": source, "skip_if_empty": skip}

    peer = setter("peer", "from %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%")
    setters = [peer, setter("name", "%REQUESTED_SERVER_NAME%")]
    state = network("set_filter_state", "Config", on_new_connection=setters)
    async with serving(state, says("x")) as served:
        found: list[Any] = []
        ended = served.listener.connection_ended
        served.listener.connection_ended = lambda connection: found.append(connection) or ended(connection)  # type: ignore
        await served.ask()
        await until(lambda: found)
    expected = {"peer": "from 127.0.0.1"} if skip else {"peer": "from 127.0.0.1", "name": ""}
    assert found[0].filter_state == expected
