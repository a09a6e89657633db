"""Listeners: where they listen, whom they admit, and how long listener filters may take."""

import asyncio
import gc
import os
import resource
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from meshproxy.config.build_listeners import build_listener
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.downstream.accept import SocketAcceptor
from meshproxy.net.sockets import BindError
from tests.downstream.serving import (
    ECHO,
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
    view_of,
)


@looped
async def test_counts_and_serves() -> None:
    async with serving(says("hello")) as served:
        assert await served.ask() == b"hello"
        stats = served.listener.stats
        await until(lambda: stats.downstream_cx_active == 0)
        assert (stats.downstream_cx_total, stats.downstream_cx_destroy) == (1, 1)
        assert served.listener.worker_stats.downstream_cx_total == 1
        assert served.ctx.connections.active == 0


@looped
async def test_unix_sockets_with_a_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    path.touch()  # an earlier run left something behind
    async with serving(says("unix"), address={"pipe": {"path": str(path), "mode": 0o600}}) as served:
        with await served.connect(str(path)) as client:
            assert await read_all(client) == b"unix"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@looped
async def test_abstract_unix_sockets() -> None:
    name = f"meshproxy-test-{os.getpid()}"
    async with serving(ECHO, address={"pipe": {"path": f"@{name}"}}) as served:
        with await served.connect("\0" + name) as client:
            await send(client, b"x")
            assert await read(client, 1) == b"x"


@looped
async def test_additional_addresses() -> None:
    more = [{"address": {"socket_address": {"address": "::1", "port_value": 0}}}]
    async with serving(says("both"), additional_addresses=more) as served:
        for sock in served.listener.sockets:
            with await served.connect(sock.getsockname()) as client:
                assert await read_all(client) == b"both"


@looped
async def test_compatible_v6_shows_v4_peers_as_v4() -> None:
    address = {"socket_address": {"address": "::", "port_value": 0, "ipv4_compat": True}}
    chain = {"filter_chain_match": {"source_prefix_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}}
    chains = [{**chain, "filters": [says("v4")]}]
    async with serving(address=address, filter_chains=chains) as served:
        with await served.connect(("127.0.0.1", served.address[1])) as client:
            assert await read_all(client) == b"v4"


@looped
async def test_unbound_listeners_do_not_listen() -> None:
    async with serving(ECHO, bind_to_port=False) as served:
        assert served.listener.sockets == []


@looped
async def test_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        with pytest.raises(BindError) as caught:
            async with serving(ECHO, address=address, enable_reuse_port=False):
                pass
    assert str(caught.value) == f"cannot bind '127.0.0.1:{port}': Address already in use"


@looped
async def test_a_listener_that_fails_to_bind_leaves_nothing_open() -> None:
    # What tests before this one left to the collector would go meanwhile.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    more = [{"address": {"socket_address": {"address": "192.0.2.77", "port_value": 1}}}]
    with pytest.raises(BindError, match="Cannot assign requested address"):
        async with serving(ECHO, additional_addresses=more):
            pass
    assert len(os.listdir("/proc/self/fd")) == before


@looped
async def test_chains_by_address_without_looking_at_bytes() -> None:
    chains = [
        {"filter_chain_match": {"source_ports": [1]}, "filters": [says("one")]},
        {"filter_chain_match": {"source_type": "SAME_IP_OR_LOOPBACK"}, "filters": [says("local")]},
    ]
    async with serving(filter_chains=chains) as served:
        assert await served.ask() == b"local"


@looped
async def test_no_chain_closes_and_logs() -> None:
    chains = [{"filter_chain_match": {"destination_port": 1}, "filters": [ECHO]}]
    async with serving(filter_chains=chains) as served:
        logged: list[Any] = []
        served.listener.log = logged.append
        assert await served.ask() == b""
        assert served.listener.stats.no_filter_chain_match == 1
        assert served.listener.stats.downstream_cx_total == 0
    assert (logged[0].flags, logged[0].details) == (("NR",), "filter_chain_not_found")


@looped
async def test_own_limit_on_connections() -> None:
    async with serving(ECHO) as served:
        served.ctx.runtime.set_layer("test", {"envoy.resource_limits.listener.in.connection_limit": 1})
        with await served.connect() as first:
            await send(first, b"1")
            assert await read(first, 1) == b"1"
            assert await served.ask() == b""
            assert served.listener.stats.downstream_cx_overflow == 1
        await until(lambda: served.listener.stats.downstream_cx_active == 0)
        with await served.connect() as third:
            await send(third, b"3")
            assert await read(third, 1) == b"3"


@looped
async def test_limit_on_all_connections() -> None:
    async with serving(ECHO) as served:
        served.ctx.connections.allowed.maximum = 0
        assert await served.ask() == b""
        assert served.listener.stats.downstream_global_cx_overflow == 1
        served.listener.ignores_all_connections = True
        with await served.connect() as client:
            await send(client, b"x")
            assert await read(client, 1) == b"x"


INSPECTOR = listening("http_inspector", "HttpInspector")


@looped
async def test_silence_is_closed_after_the_filters_timeout() -> None:
    async with serving(says("x"), listener_filters=[INSPECTOR], listener_filters_timeout="0.05s") as served:
        assert await served.ask() == b""
        assert served.listener.stats.downstream_pre_cx_timeout == 1
        assert served.listener.stats.downstream_pre_cx_active == 0
        assert served.listener.stats.downstream_cx_total == 0


@looped
async def test_silence_may_be_served_after_the_filters_timeout() -> None:
    fields: dict[str, Any] = {"listener_filters_timeout": "0.05s", "continue_on_listener_filters_timeout": True}
    async with serving(says("x"), listener_filters=[INSPECTOR], **fields) as served:
        assert await served.ask() == b"x"
        assert served.listener.stats.downstream_pre_cx_timeout == 1


@looped
async def test_client_that_leaves_before_it_was_looked_at() -> None:
    async with serving(says("x"), listener_filters=[INSPECTOR]) as served:
        assert await served.ask(end=True) == b""
        with pytest.raises(ConnectionResetError):  # what it sent was never read
            await served.ask(b"GET", end=True)
        assert served.listener.stats.downstream_listener_filter_remote_close == 2


@looped
async def test_waiting_for_more_bytes_does_not_spin() -> None:
    """A poll that fires for bytes that were seen before would burn a core."""
    async with serving(ECHO, listener_filters=[INSPECTOR]) as served:
        looks = []
        peek = served.listener.listener_filters[0].on_data
        served.listener.listener_filters[0].on_data = lambda *given: looks.append(1) or peek(*given)  # type: ignore
        with await served.connect() as client:
            for part in (b"GE", b"T /", b" HTTP/1.1"):
                seen = len(looks)
                await send(client, part)
                await until(lambda seen=seen: len(looks) > seen)
                for _ in range(50):
                    await asyncio.sleep(0)
            assert len(looks) == 3
            await send(client, b"\r\n\r\n")
            assert await read(client, 18) == b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("hook", ["on_accept", "on_data"])
@looped
async def test_listener_filter_that_fails_closes_its_connection(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a bug in a filter")

    async with serving(ECHO, listener_filters=[INSPECTOR]) as served:
        setattr(served.listener.listener_filters[0], hook, fail)
        with await served.connect() as client:
            await send(client, b"GET / HTTP/1.1\r\n")
            await until(lambda: "a bug in a filter" in caplog.text)
        assert served.listener.stats.downstream_pre_cx_active == 0
        assert served.listener.stats.downstream_cx_total == 0


@looped
async def test_filter_can_be_disabled_for_ports() -> None:
    ports = {"destination_port_range": {"start": 1, "end": 65535}}
    inspector = {**INSPECTOR, "filter_disabled": {"and_match": {"rules": [ports, {"not_match": {"not_match": ports}}]}}}
    async with serving(says("at once"), listener_filters=[inspector]) as served:
        assert await served.ask() == b"at once"


@looped
async def test_closing_stops_accepting_and_leaves_connections() -> None:
    async with serving(ECHO) as served:
        address = served.address
        with await served.connect() as client:
            await send(client, b"x")
            await read(client, 1)
            served.listener.close()
            with pytest.raises(ConnectionRefusedError):
                await served.connect(address)
            await send(client, b"still")
            assert await read(client, 5) == b"still"


@looped
async def test_connections_are_handed_to_the_listener_of_their_destination() -> None:
    """The PROXY header stands for a firewall that redirected the connection."""
    proxy = listening("proxy_protocol", "ProxyProtocol")
    async with serving(says("catchall"), listener_filters=[proxy], use_original_dst=True) as served:
        for name, host, port in (("exact", "5.6.7.8", 80), ("port", "0.0.0.0", 443)):
            address = {"socket_address": {"address": host, "port_value": port}}
            chains = [{"filters": [says(name)]}]
            config = {"name": name, "address": address, "bind_to_port": False, "filter_chains": chains}
            build_listener(view_of(config, "envoy.config.listener.v3.Listener"), served.ctx)
        answers = {"5.6.7.8 1 80": b"exact", "5.6.7.9 1 443": b"port", "5.6.7.9 1 80": b"catchall"}
        for destination, answer in answers.items():
            with await served.connect() as client:
                await send(client, f"PROXY TCP4 1.2.3.4 {destination}\r\n".encode())
                assert await read_all(client) == answer
        for listener in served.ctx.listeners:  # not the one on port 0, which no destination names
            assert listener.stats.downstream_cx_total == 1


@looped
async def test_the_last_descriptors_are_not_for_traffic() -> None:
    async with serving(says("x")) as served:
        served.ctx.connections.descriptors = 0
        assert await served.ask() == b""
        assert served.listener.stats.downstream_cx_overload_reject == 1
        served.ctx.connections.descriptors = 1 << 31
        assert await served.ask() == b"x"


@looped
async def test_two_listeners_cannot_have_one_address() -> None:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 9}}
    config = {"name": "a", "address": address, "bind_to_port": False, "filter_chains": [{"filters": [ECHO]}]}
    ctx = Context(asyncio.get_running_loop())
    build_listener(view_of(config, "envoy.config.listener.v3.Listener"), ctx)
    with pytest.raises(ConfigError, match="'b' has duplicate address"):
        build_listener(view_of({**config, "name": "b"}, "envoy.config.listener.v3.Listener"), ctx)


async def pong(sock: socket.socket) -> None:
    await send(sock, b"pong")


@looped
async def test_without_file_descriptors_it_waits_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(pong) as port, serving(tcp_proxy(), clusters={"origin": port}) as served:
        await served.ask()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The loop does not run before the limit is set, so this waits in the kernel's queue.
        client = socket.create_connection(served.address)
        client.setblocking(False)
        resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
        tries = 0
        accept = SocketAcceptor._again

        def count(acceptor: SocketAcceptor) -> None:
            nonlocal tries
            tries += 1
            accept(acceptor)

        monkeypatch.setattr(SocketAcceptor, "_again", count)
        try:
            await until(lambda: tries == 2)
            assert served.listener.stats.downstream_cx_total == 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        with client:
            assert await read_all(client) == b"pong"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"filter_chains": []}, "no filter chains specified"),
    ({"address": None}, "address is necessary"),
    ({"filter_chains": [{"filters": [ECHO, ECHO]}]}, "terminal filter named echo must be the last filter"),
    (
        {"filter_chains": [{"filters": [network("sni_cluster", "SniCluster")]}]},
        "non-terminal filter named sni_cluster is the last filter",
    ),
    (
        {"filter_chains": [{"name": "a", "filters": [ECHO]}, {"name": "b", "filters": [ECHO]}]},
        "filter chain 'b' has the same matching rules defined as 'a'",
    ),
    (
        {"filter_chains": [{"filters": [ECHO], "filter_chain_match": {"server_names": ["*w.com"]}}]},
        'partial wildcards are not supported in "server_names"',
    ),
    ({"address": {"socket_address": {"address": "localhost", "port_value": 1}}}, "malformed IP address: localhost"),
    ({"address": {"socket_address": {"address": "::1", "port_value": 1, "ipv4_compat": True}}}, "can set ipv4_compat"),
    ({"address": {"pipe": {"path": "@x", "mode": 7}}}, "Cannot set mode for Abstract AF_UNIX sockets"),
    ({"address": {"pipe": {"path": "/" + "x" * 108}}}, "exceeds maximum UNIX domain socket path size"),
    ({"address": {"pipe": {"path": "/a"}}, "enable_mptcp": True}, "enable_mptcp can only be used with IP addresses"),
    ({"internal_listener": {}}, "internal listeners are not supported"),
]


@pytest.mark.parametrize(("fields", "reason"), REFUSED)
@looped
async def test_refused_configurations(fields: dict[str, Any], reason: str) -> None:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    config = {"name": "in", "address": address, "filter_chains": [{"filters": [ECHO]}], **fields}
    given = {key: value for key, value in config.items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        build_listener(view_of(given, "envoy.config.listener.v3.Listener"), Context(asyncio.get_running_loop()))
    assert reason in str(caught.value)
