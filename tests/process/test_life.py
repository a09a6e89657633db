"""Signals, and what is left of a process that ends."""

import json
import re
import signal
import socket
from pathlib import Path

import pytest

from .running import cluster, config, running, starting, wait_for

LOGGED = (
    'access_log: [{{name: f, typed_config: {{"@type": type.googleapis.com/'
    "envoy.extensions.access_loggers.file.v3.FileAccessLog, path: {path}, log_format: "
    '{{text_format_source: {{inline_string: "%RESPONSE_CODE% %RESPONSE_FLAGS%\\n"}}}}}}}}]'
)
BOTH = pytest.mark.parametrize("workers", ["1", "2"])


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_at_once(tmp_path: Path, number: int, workers: str) -> None:
    with running(tmp_path, config(), "--concurrency", workers) as proxy, proxy.connect() as client:
        children = proxy.children()
        proxy.signal(number)
        assert proxy.end() == 0
        assert client.recv(1) == b""
        assert f"caught {'ENVOY_SIGTERM' if number == signal.SIGTERM else 'SIGINT'}" in proxy.log
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


@BOTH
def test_what_is_in_flight_is_logged(tmp_path: Path, workers: str) -> None:
    log = tmp_path / "access.log"
    with socket.create_server(("127.0.0.1", 0)) as origin:
        text = config("route: {cluster: origin}", LOGGED.format(path=log), cluster(origin.getsockname()[1]))
        with running(tmp_path, text, "--concurrency", workers) as proxy, proxy.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            upstream, _ = origin.accept()
            with upstream:
                assert upstream.recv(1000).startswith(b"GET")
                proxy.signal(signal.SIGTERM)
                assert proxy.end() == 0
                assert client.recv(1) == b""
    assert log.read_text() == "0 DC\n"


@BOTH
def test_logs_are_opened_again(tmp_path: Path, workers: str) -> None:
    log, old, process_log = tmp_path / "access.log", tmp_path / "old", tmp_path / "process.log"
    flags = ("--concurrency", workers, "--log-path", str(process_log), "--file-flush-interval-msec", "20")
    with running(tmp_path, config(extra=LOGGED.format(path=log)), *flags) as proxy:
        proxy.get()
        wait_for(lambda: log.read_text() == "200 -\n")
        log.rename(old)
        process_log.rename(tmp_path / "old.log")
        proxy.signal(signal.SIGUSR1)
        wait_for(lambda: log.exists() and process_log.exists())
        # Every worker opens its own: all of them write to the new one in the end.
        wait_for(lambda: proxy.get() and len(log.read_text().splitlines()) >= 5)
        proxy.signal(signal.SIGTERM)
        assert proxy.end() == 0
    assert "caught ENVOY_SIGTERM" in process_log.read_text()


@BOTH
def test_hanging_up_means_nothing(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, config(), "--concurrency", workers) as proxy:
        proxy.signal(signal.SIGHUP)
        wait_for(lambda: "caught and eating SIGHUP" in proxy.log)
        assert proxy.get() == (200, "hello")


@BOTH
def test_ends_while_clusters_warm_up(tmp_path: Path, workers: str) -> None:
    script = (
        "import asyncio\nfrom meshproxy.upstream.cluster import Clusters\n"
        "async def never(_clusters): await asyncio.Event().wait()\nClusters.warm = never"
    )
    with starting(tmp_path, config(), "--concurrency", workers, script=script) as proxy:
        proxy.wait_for_admin()
        assert proxy.admin("/ready") == (503, "PRE_INITIALIZING\n")
        # The address is taken, and nobody listens yet.
        wait_for(lambda: proxy.find_port() > 0)
        with pytest.raises(ConnectionRefusedError):
            proxy.connect()
        proxy.signal(signal.SIGTERM)
        assert proxy.end() == 0


@BOTH
def test_quits_when_asked(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, config(), "--concurrency", workers) as proxy:
        assert proxy.admin("/quitquitquit", "POST") == (200, "OK\n")
        assert proxy.end() == 0


@BOTH
def test_stats_of_the_process(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, config(), "--concurrency", workers) as proxy:
        stats = dict(line.split(": ", 1) for line in proxy.admin("/stats")[1].splitlines())
    expected = {
        "server.live": "1", "server.state": "0", "server.concurrency": workers, "listener_manager.workers_started": "1",
        "listener_manager.listener_added": "1", "listener_manager.listener_create_success": workers,
        "listener_manager.total_listeners_active": "1", "cluster_manager.active_clusters": "0",
        "runtime.load_success": "2",
    }  # fmt: skip
    assert {name: stats[name] for name in expected} == expected
    assert int(stats["server.memory_physical_size"]) > 1 << 20
    assert int(stats["server.version"]) > 0


@BOTH
def test_how_late_each_loop_is(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, config(), "--concurrency", workers) as proxy:
        loops = ["server", *[f"listener_manager.worker_{number}" for number in range(int(workers))]]
        for loop in loops:
            filter = f"/stats?filter=^{loop}.dispatcher.loop_lag_us"
            wait_for(lambda filter=filter: "P100" in proxy.admin(filter)[1])


def test_draining(tmp_path: Path) -> None:
    with running(tmp_path, config()) as proxy, proxy.connect() as client:
        assert proxy.admin("/healthcheck/fail", "POST")[0] == 200
        assert proxy.admin("/ready") == (503, "DRAINING\n")
        client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert re.search(rb"connection: close", client.recv(1000))
        proxy.admin("/healthcheck/ok", "POST")
        assert proxy.admin("/ready") == (200, "LIVE\n")


def test_server_info_has_the_command_line(tmp_path: Path) -> None:
    with running(tmp_path, config(), "--drain-time-s", "7", "--service-node", "me") as proxy:
        info = json.loads(proxy.admin("/server_info")[1])
    assert info["command_line_options"]["drain_time"] == "7s"
    assert info["node"]["id"] == "me"
