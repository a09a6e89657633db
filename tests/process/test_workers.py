"""--concurrency N: one proxy to clients and operators, however many processes it is."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from .running import Running, ask, cluster, config, running, starting, wait_for

REQUEST = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, config(), "--concurrency", "2") as started:
        yield started


def workers(proxy: Running) -> list[int]:
    """Processes: the first child forks the others."""
    return proxy.children()[1:]


def test_there_are_two_and_one_that_forks_them(proxy: Running) -> None:
    assert len(proxy.children()) == 3


def test_memory_is_that_of_all_processes(proxy: Running) -> None:
    most = sum(_resident(pid) for pid in (proxy.process.pid, *proxy.children()))
    shown = json.loads(proxy.admin("/memory")[1])["total_physical_bytes"]
    assert _resident(proxy.process.pid) < int(shown) < most


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_connections_are_spread_and_counted_once(proxy: Running) -> None:
    for _ in range(64):
        assert proxy.get() == (200, "hello")
    assert proxy.stat("http.in.downstream_rq_total") == 64
    each = [proxy.stat(f"listener.127.0.0.1_0.worker_{n}.downstream_cx_total") for n in (0, 1)]
    assert sum(each) == 64
    assert min(each) > 0


class Load:
    """Clients that ask again and again over new connections; `failures` are requests that were not answered."""

    def __init__(self, proxy: Running, clients: int = 4) -> None:
        self._proxy = proxy
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        self.answered = 0
        self.refused = 0
        self.cut = 0

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                client = self._proxy.connect()
            except ConnectionRefusedError:
                self.refused += 1
                continue
            with client:
                try:
                    client.sendall(REQUEST)
                    answer = client.recv(1000)
                except ConnectionError:
                    answer = b""
                if answer.startswith(b"HTTP/1.1 200"):
                    self.answered += 1
                else:
                    self.cut += 1


def test_a_dead_worker_is_replaced(proxy: Running) -> None:
    before = set(workers(proxy))
    with Load(proxy) as load:
        wait_for(lambda: load.answered > 50)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len(set(workers(proxy)) - before) == 1 and victim not in workers(proxy))
        so_far = load.answered
        wait_for(lambda: load.answered > so_far + 50)
    assert load.refused == 0
    # What it had accepted is lost, and one client has one connection at a time.
    assert load.cut <= 4
    assert f"(process {victim}) died; another takes its place" in proxy.log


def test_counters_outlive_a_worker(proxy: Running) -> None:
    for _ in range(32):
        proxy.get()
    assert proxy.stat("http.in.downstream_rq_total") == 32
    before = set(workers(proxy))
    os.kill(max(before), signal.SIGKILL)
    wait_for(lambda: set(workers(proxy)) - before)
    assert proxy.stat("http.in.downstream_rq_total") == 32
    # Its connections are gone.
    assert proxy.stat("http.in.downstream_cx_active") == 0
    for _ in range(8):
        proxy.get()
    assert proxy.stat("http.in.downstream_rq_total") == 40
    proxy.admin("/reset_counters", "POST")
    assert proxy.stat("http.in.downstream_rq_total") == 0


def test_counts_of_endpoints_are_added_up(tmp_path: Path) -> None:
    with running(tmp_path, config()) as origin:
        text = config("route: {cluster: origin}", more=cluster(origin.port))
        with running(tmp_path / "front", text, "--concurrency", "2") as proxy:
            for _ in range(32):
                assert proxy.get()[0] == 200
            assert f"origin::127.0.0.1:{origin.port}::rq_total::32\n" in proxy.admin("/clusters")[1]
            before = set(workers(proxy))
            os.kill(max(before), signal.SIGKILL)
            wait_for(lambda: set(workers(proxy)) - before)
            assert f"origin::127.0.0.1:{origin.port}::rq_total::32\n" in proxy.admin("/clusters")[1]


def test_failures_are_added_up_and_outlive_a_worker(tmp_path: Path) -> None:
    with running(tmp_path, config("direct_response: {status: 503}"), "--concurrency", "2") as proxy:
        for _ in range(32):
            assert proxy.get()[0] == 503

        def counted() -> int:
            (failure,) = json.loads(proxy.admin("/failures?format=json")[1])["failures"]
            return int(failure["count"])

        assert counted() == 32
        assert counted() == 32
        before = set(workers(proxy))
        os.kill(max(before), signal.SIGKILL)
        wait_for(lambda: set(workers(proxy)) - before)
        assert counted() == 32
        assert proxy.admin("/")[0] == 200


def test_nobody_outlives_main(proxy: Running) -> None:
    children = proxy.children()
    proxy.signal(signal.SIGKILL)
    proxy.end()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def test_one_that_dies_again_and_again_is_replaced_later_and_later(proxy: Running) -> None:
    for pause in ("place\n", "place in 0.5 seconds\n", "place in 1 seconds\n"):
        victim = max(workers(proxy))
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda pid=victim: f"(process {pid}) died" in proxy.log)
        assert proxy.log.endswith(pause)
        wait_for(lambda pid=victim: max(workers(proxy)) > pid and proxy.stat("server.live") == 1)
    assert {proxy.get()[0] for _ in range(8)} == {200}


def test_the_others_serve_on_when_no_worker_can_be_forked(proxy: Running) -> None:
    zygote, victim, survivor = proxy.children()
    os.kill(zygote, signal.SIGKILL)
    wait_for(lambda: "a worker that dies is not replaced any more" in proxy.log)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: "cannot be replaced" in proxy.log)
    assert {proxy.get()[0] for _ in range(32)} == {200}
    os.kill(survivor, signal.SIGKILL)
    assert proxy.end() == 1


def test_one_that_hangs_does_not_keep_operators_waiting(proxy: Running) -> None:
    for _ in range(16):
        proxy.get()
    assert proxy.stat("http.in.downstream_rq_total") == 16
    victim = max(workers(proxy))
    os.kill(victim, signal.SIGSTOP)
    try:
        assert proxy.stat("http.in.downstream_rq_total") == 16
        assert proxy.admin("/clusters")[0] == 200
    finally:
        os.kill(victim, signal.SIGCONT)


HANG = """
import time
from meshproxy.downstream.http_manager import HttpManager
find = HttpManager.find_route
def find_route(self, stream):
    if stream.request.path[1:2].isdigit():
        time.sleep(float(stream.request.path[1:]))
    find(self, stream)
HttpManager.find_route = find_route
"""
WATCHDOG = "{miss_timeout: 0.1s, megamiss_timeout: 0.3s, kill_timeout: 0.8s}"
WATCHDOGS = f"watchdogs: {{main_thread_watchdog: {WATCHDOG}, worker_watchdog: {WATCHDOG}}}"


@pytest.mark.parametrize("flags", [(), ("--concurrency", "2")])
def test_the_watchdog_counts_stalls(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with starting(tmp_path, config(more=WATCHDOGS), *flags, script=HANG) as proxy:
        proxy.wait_until_live()
        # A busy machine stalls it too.
        before = proxy.stat("workers.watchdog_mega_miss")
        ask(proxy.port, "/0.4")
        wait_for(lambda: proxy.stat("workers.watchdog_mega_miss") > before)
        misses = proxy.stat("workers.watchdog_miss")
        assert misses > before
        each = [max(0, proxy.stat(f"server.worker_{number}.watchdog_miss")) for number in range(2)]
        assert sum(each) >= misses


def test_the_watchdog_ends_a_worker_that_hangs(tmp_path: Path) -> None:
    with starting(tmp_path, config(more=WATCHDOGS), "--concurrency", "2", script=HANG) as proxy:
        proxy.wait_until_live()
        before = set(workers(proxy))
        with proxy.connect() as client:
            client.sendall(b"GET /60 HTTP/1.1\r\nhost: a\r\n\r\n")
            wait_for(lambda: set(workers(proxy)) - before)
        assert "in find_route" in proxy.log
        wait_for(lambda: {proxy.get()[0] for _ in range(16)} == {200})


def test_the_watchdog_ends_a_process_that_hangs(tmp_path: Path) -> None:
    with starting(tmp_path, config(more=WATCHDOGS), script=HANG) as proxy:
        proxy.wait_until_live()
        with proxy.connect() as client:
            client.sendall(b"GET /60 HTTP/1.1\r\nhost: a\r\n\r\n")
            assert proxy.end() == 1
        assert "in find_route" in proxy.log


def test_workers_mind_only_main(proxy: Running) -> None:
    before = workers(proxy)
    for pid in proxy.children():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            os.kill(pid, number)
    assert proxy.get() == (200, "hello")
    assert workers(proxy) == before


def test_ends_when_no_worker_can_be_had(proxy: Running) -> None:
    zygote, *rest = proxy.children()
    for pid in (zygote, *rest):
        os.kill(pid, signal.SIGKILL)
    assert proxy.end() == 1
    assert "the process that forks workers is gone" in proxy.log




def test_what_operators_say_reaches_all_and_those_that_come_later(tmp_path: Path) -> None:
    fraction = "{default_value: {numerator: 100}, runtime_key: a.key}"
    text = config(
        f"name: first, direct_response: {{status: 200}}, match: {{prefix: /, runtime_fraction: {fraction}}}}}, "
        "{match: {prefix: /}, direct_response: {status: 404}",
        more="layered_runtime: {layers: [{name: admin, admin_layer: {}}]}",
    ).replace("{match: {prefix: /}, name: first", "{name: first")
    with running(tmp_path, text, "--concurrency", "2") as proxy:
        assert {proxy.get()[0] for _ in range(16)} == {200}
        assert proxy.admin("/runtime_modify?a.key=0", "POST")[0] == 200
        wait_for(lambda: {proxy.get()[0] for _ in range(16)} == {404})
        before = set(workers(proxy))
        os.kill(max(before), signal.SIGKILL)
        wait_for(lambda: set(workers(proxy)) - before)
        assert {proxy.get()[0] for _ in range(16)} == {404}


def test_a_worker_that_cannot_start(tmp_path: Path) -> None:
    script = (
        "from meshproxy.process.listener_set import ListenerSet\n"
        "async def refuse(*_): raise OSError('this cannot be')\nListenerSet.adopt = refuse"
    )
    with starting(tmp_path, config(), "--concurrency", "2", script=script) as proxy:
        assert proxy.end() == 1
        assert proxy.log.splitlines()[-1] == "meshproxy: this cannot be"


def test_draining_reaches_all(tmp_path: Path) -> None:
    with running(tmp_path, config(), "--concurrency", "2", "--drain-strategy", "immediate") as proxy:
        clients = [proxy.connect() for _ in range(8)]
        for client in clients:
            client.sendall(REQUEST.replace(b"close", b"keep-alive"))
            assert b"connection: close" not in client.recv(1000)
        assert proxy.admin("/drain_listeners?inboundonly", "POST")[0] == 200
        wait_for(lambda: _is_refused(proxy.port))
        for client in clients:
            with client:
                client.sendall(REQUEST.replace(b"close", b"keep-alive"))
                assert b"connection: close" in client.recv(1000)


def test_a_worker_that_comes_after_the_drain_does_not_listen(proxy: Running) -> None:
    proxy.admin("/drain_listeners", "POST")
    before = set(workers(proxy))
    os.kill(max(before), signal.SIGKILL)
    wait_for(lambda: set(workers(proxy)) - before)
    assert proxy.stat("server.live") == 1
    assert _is_refused(proxy.port)


def test_one_socket_for_all_where_the_configuration_says_so(tmp_path: Path) -> None:
    text = config().replace("traffic_direction: INBOUND", "enable_reuse_port: false")
    with running(tmp_path, text, "--concurrency", "2") as proxy:
        for _ in range(8):
            assert ask(proxy.port, "/") == (200, "hello")
        assert proxy.stat("http.in.downstream_rq_total") == 8


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "in.sock"
    address = "{socket_address: {address: 127.0.0.1, port_value: 0}}\n    traffic"
    text = config().replace(address, f"{{pipe: {{path: {path}}}}}\n    traffic")
    with running(tmp_path, text, "--concurrency", "2") as proxy:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(REQUEST)
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert proxy.stat("http.in.downstream_rq_total") == 1


def _is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        # It waited to be accepted when the socket was closed.
        return False
    return False
