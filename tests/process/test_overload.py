"""Overload of the whole proxy: main measures, and every worker acts, also one that is born later."""

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from .running import Running, cluster, config, running, wait_for

MONITORS = '"@type": type.googleapis.com/envoy.extensions.resource_monitors'
ACTION = "overload.envoy.overload_actions"
WORKERS = [(), ("--concurrency", "2")]
MIB = 1 << 20


def manager(monitor: str, *actions: str) -> str:
    names = ", ".join(
        f"{{name: envoy.overload_actions.{action}, triggers: [{{name: m, threshold: {{value: 0.9}}}}]}}"
        for action in actions
    )
    monitors = f"[{{name: m, typed_config: {{{MONITORS}.{monitor}}}}}]"
    return f"overload_manager: {{refresh_interval: 0.05s, resource_monitors: {monitors}, actions: [{names}]}}\n"


def injected(tmp_path: Path, *actions: str) -> str:
    press(tmp_path, 0)
    return manager(f"injected_resource.v3.InjectedResourceConfig, filename: {tmp_path}/pressure", *actions)


def press(tmp_path: Path, value: float) -> None:
    (tmp_path / "new").write_text(str(value))
    (tmp_path / "new").rename(tmp_path / "pressure")


def statuses(proxy: Running, count: int = 16) -> set[int]:
    return {proxy.get()[0] for _ in range(count)}


@pytest.mark.parametrize("flags", WORKERS)
def test_every_worker_refuses_requests(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with running(tmp_path, config(more=injected(tmp_path, "stop_accepting_requests")), *flags) as proxy:
        assert statuses(proxy) == {200}
        press(tmp_path, 0.95)
        wait_for(lambda: statuses(proxy) == {503})
        assert proxy.stat(f"{ACTION}.stop_accepting_requests.active") == 1
        assert proxy.stat("overload.m.pressure") == 95
        assert proxy.stat("http.in.downstream_rq_overload_close") >= 16
        press(tmp_path, 0.1)
        wait_for(lambda: statuses(proxy) == {200})


def test_a_worker_that_comes_later_knows(tmp_path: Path) -> None:
    text = config(more=injected(tmp_path, "stop_accepting_requests"))
    with running(tmp_path, text, "--concurrency", "2") as proxy:
        press(tmp_path, 1)
        wait_for(lambda: statuses(proxy) == {503})
        before = set(proxy.children()[1:])
        os.kill(max(before), signal.SIGKILL)
        wait_for(lambda: set(proxy.children()[1:]) - before)
        assert statuses(proxy) == {503}


@pytest.mark.parametrize("flags", WORKERS)
def test_connections_wait_until_it_is_over(tmp_path: Path, flags: tuple[str, ...]) -> None:
    text = config(more=injected(tmp_path, "stop_accepting_connections"))
    with running(tmp_path, text, *flags) as proxy, ExitStack() as stack:
        press(tmp_path, 1)
        wait_for(lambda: proxy.stat(f"{ACTION}.stop_accepting_connections.active") == 1)
        wait_for(lambda: "downstream_cx_active: 0" in proxy.admin("/stats?filter=^http.in")[1])
        clients = [stack.enter_context(proxy.connect()) for _ in range(8)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        press(tmp_path, 0)
        assert all(client.recv(1000).startswith(b"HTTP/1.1 200") for client in clients)
        assert proxy.stat("http.in.downstream_rq_total") == 8


def fixed_heap(limit: int) -> str:
    return manager(
        f"fixed_heap.v3.FixedHeapConfig, max_heap_size_bytes: {limit}", "stop_accepting_requests", "shrink_heap"
    )


@pytest.mark.parametrize("flags", WORKERS)
def test_memory_pressure_and_recovery(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Bodies that wait for an upstream fill the memory; when they are gone, all is as before."""
    upstream = socket.create_server(("127.0.0.1", 0))
    text = config("route: {cluster: origin}", more=cluster(upstream.getsockname()[1]))
    roomy = f"per_connection_buffer_limit_bytes: {32 * MIB}"
    text = text.replace("    traffic_direction", f"    {roomy}\n    traffic_direction")
    text = text.replace("clusters: [{name: origin,", f"clusters: [{{name: origin, {roomy},")
    with upstream, running(tmp_path, text + fixed_heap(160 * MIB), *flags) as proxy:
        clients = []
        head = f"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {32 * MIB}\r\n\r\n".encode()
        while proxy.stat(f"{ACTION}.stop_accepting_requests.active") == 0:
            assert len(clients) < 20
            client = proxy.connect()
            clients.append(client)
            try:
                client.sendall(head + bytes(24 * MIB))
            except ConnectionError:
                # Refused already.
                break
        wait_for(lambda: statuses(proxy, 4) == {503})
        for client in clients:
            client.close()
        wait_for(lambda: proxy.stat(f"{ACTION}.stop_accepting_requests.active") == 0)
        assert proxy.stat(f"{ACTION}.shrink_heap.shrink_count") > 0
