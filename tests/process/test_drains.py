"""Draining: what operators ask for, what clients notice of it, and SIGTERM with --on-sigterm drain."""

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .running import Running, cluster, config, running, wait_for

BOTH = pytest.mark.parametrize("workers", ["1", "2"])
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
LEAVE = ("--on-sigterm", "drain", "--drain-time-s", "30")


def say(client: socket.socket, request: bytes = GET) -> bytes:
    client.sendall(request)
    return client.recv(1000)


@contextmanager
def origin() -> Iterator[tuple[int, threading.Event]]:
    """An upstream that answers its one request when the event is set."""
    answer = threading.Event()

    def serve(listening: socket.socket) -> None:
        client, _ = listening.accept()
        with client:
            client.recv(1000)
            answer.wait(20)
            client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1], answer
        answer.set()
        thread.join()


def status(proxy: Running) -> dict[str, object]:
    tree: dict[str, object] = json.loads(proxy.admin("/drain_status?format=json")[1])
    return tree


def is_open(proxy: Running) -> bool:
    try:
        proxy.connect().close()
    except ConnectionError:
        return False
    return True


@BOTH
def test_listeners_close_when_the_time_is_over(tmp_path: Path, workers: str) -> None:
    flags = ("--concurrency", workers, "--drain-time-s", "1", "--drain-strategy", "immediate")
    with running(tmp_path, config(), *flags) as proxy, proxy.connect() as client:
        assert b"connection: close" not in say(client)
        assert proxy.admin("/drain_listeners?graceful", "POST") == (200, "OK\n")
        wait_for(lambda: b"connection: close" in say(client))
        assert is_open(proxy)
        assert proxy.admin("/ready") == (200, "LIVE\n")
        wait_for(lambda: not is_open(proxy))
        # What is open stays, and is served.
        assert b"connection: close" in say(client)
        found = status(proxy)
        assert (found["state"], found["connections"], found["seconds_left"]) == ("draining", 1, 0)
        client.close()
        wait_for(lambda: status(proxy)["state"] == "drained")
        assert proxy.process.poll() is None


@BOTH
def test_a_new_worker_drains_like_the_others(tmp_path: Path, workers: str) -> None:
    flags = ("--concurrency", workers, "--drain-strategy", "immediate")
    with running(tmp_path, config(), *flags) as proxy:
        proxy.admin("/drain_listeners?skip_exit", "POST")
        for pid in proxy.children()[1:]:
            os.kill(pid, signal.SIGKILL)
        if workers == "2":
            wait_for(lambda: "another takes its place" in proxy.log)
        for _ in range(10):
            with proxy.connect() as client:
                wait_for(lambda client=client: b"connection: close" in say(client))


@BOTH
def test_nothing_to_wait_for(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, config(), *LEAVE, "--concurrency", workers) as proxy:
        proxy.signal(signal.SIGTERM)
        assert proxy.end() == 0


@BOTH
def test_what_is_in_flight_is_finished(tmp_path: Path, workers: str) -> None:
    with origin() as (port, answer):
        text = config("route: {cluster: origin}", "", cluster(port))
        with running(tmp_path, text, *LEAVE, "--concurrency", workers) as proxy, proxy.connect() as client:
            client.sendall(GET)
            wait_for(lambda: status(proxy)["requests"] == 1)
            proxy.signal(signal.SIGTERM)
            wait_for(lambda: proxy.admin("/ready") == (503, "DRAINING\n"))
            found = status(proxy)
            assert (found["state"], found["exits"], found["connections"], found["requests"]) == ("draining", True, 1, 1)
            assert 20 < float(str(found["seconds_left"])) <= 30
            text = proxy.admin("/drain_status")[1]
            assert text.startswith("state: draining, then exit\nseconds left: ")
            assert text.endswith("connections: 1\nrequests: 1\nin: accepts, 1 connections, 1 requests\n")
            # While it drains it serves.
            with proxy.connect():
                pass
            answer.set()
            answered = client.recv(1000)
            assert answered.startswith(b"HTTP/1.1 200 OK") and b"connection: close" in answered
            client.close()
            assert proxy.end() == 0
            assert "0 connections are left" in proxy.log


@BOTH
def test_time_is_up(tmp_path: Path, workers: str) -> None:
    log = tmp_path / "access.log"
    logged = (
        'access_log: [{name: f, typed_config: {"@type": type.googleapis.com/'
        f"envoy.extensions.access_loggers.file.v3.FileAccessLog, path: {log}, log_format: "
        '{text_format_source: {inline_string: "%RESPONSE_CODE% %RESPONSE_FLAGS%\\n"}}}}]'
    )
    with origin() as (port, _):
        text = config("route: {cluster: origin}", logged, cluster(port))
        flags = ("--on-sigterm", "drain", "--drain-time-s", "1", "--concurrency", workers)
        with running(tmp_path, text, *flags) as proxy, proxy.connect() as client:
            client.sendall(GET)
            wait_for(lambda: status(proxy)["requests"] == 1)
            proxy.signal(signal.SIGTERM)
            assert proxy.end() == 0
            assert client.recv(1) == b""
    assert log.read_text() == "0 DC\n"


@BOTH
def test_a_second_signal_ends_at_once(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, config(), *LEAVE, "--concurrency", workers) as proxy, proxy.connect():
        proxy.signal(signal.SIGTERM)
        wait_for(lambda: status(proxy)["exits"])
        proxy.signal(signal.SIGTERM)
        assert proxy.end() == 0


def test_an_interrupt_ends_at_once(tmp_path: Path) -> None:
    with running(tmp_path, config(), *LEAVE) as proxy, proxy.connect():
        proxy.signal(signal.SIGINT)
        assert proxy.end() == 0


@BOTH
def test_whoever_was_quiet_is_served_and_told(tmp_path: Path, workers: str) -> None:
    text = config(extra="drain_timeout: 0.1s")
    with running(tmp_path, text, *LEAVE, "--concurrency", workers) as proxy:
        used, fresh = proxy.connect(), proxy.connect()
        with used, fresh:
            assert b"connection: close" not in say(used)
            proxy.signal(signal.SIGTERM)
            wait_for(lambda: status(proxy)["exits"])
            # Longer than the drain timeout, which begins when a client is told.
            wait_for(lambda: float(str(status(proxy)["seconds_left"])) < 29.5)
            assert b"connection: close" in say(used)
            assert b"connection: close" in say(fresh)
            # Told, and staying all the same: time is up for these.
            assert used.recv(1) == b"" and fresh.recv(1) == b""
            assert proxy.end() == 0


# ---- under load ----


class Load:
    """Keep-alive clients that leave when they are told to, and come again; what failed is in `failures`."""

    def __init__(self, port: int, pause: float) -> None:
        self._port = port
        self._pause = pause
        self.answered = 0
        self.failures: list[str] = []
        self.stopping = False

    async def client(self) -> None:
        while not self.stopping:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except ConnectionError:
                # Who comes after the end is refused, and has lost nothing.
                return
            await self._ask(reader, writer)
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self.stopping:
            try:
                writer.write(GET)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(5)
            except (ConnectionError, asyncio.IncompleteReadError) as error:
                self.failures.append(repr(error))
                return
            self.answered += 1
            if b"connection: close" in head:
                return
            await asyncio.sleep(self._pause)


async def _drive(proxy: Running, load: Load, drain: "threading.Thread") -> None:
    clients = [asyncio.create_task(load.client()) for _ in range(50)]
    while load.answered < 200:
        await asyncio.sleep(0.01)
    drain.start()
    while drain.is_alive():
        await asyncio.sleep(0.01)
    load.stopping = True
    await asyncio.gather(*clients)


@BOTH
@pytest.mark.parametrize("strategy", ["gradual", "immediate"])
def test_a_drain_under_load_fails_no_request(tmp_path: Path, workers: str, strategy: str) -> None:
    flags = ("--drain-time-s", "2", "--drain-strategy", strategy, "--concurrency", workers)
    with running(tmp_path, config(), *flags) as proxy:
        load = Load(proxy.port, 0.005)

        def drain() -> None:
            assert proxy.admin("/drain_listeners?graceful", "POST")[0] == 200
            wait_for(lambda: not status(proxy)["connections"])

        asyncio.run(_drive(proxy, load, threading.Thread(target=drain)))
        assert load.failures == []
        assert status(proxy)["state"] == "drained"


@BOTH
def test_sigterm_under_load_fails_no_request(tmp_path: Path, workers: str) -> None:
    with running(tmp_path, config(), *LEAVE, "--concurrency", workers) as proxy:
        load = Load(proxy.port, 0.005)

        def drain() -> None:
            proxy.signal(signal.SIGTERM)
            # Endpoints have been taken away: nobody comes any more after a while.
            before = load.answered
            wait_for(lambda: load.answered > before + 500)
            load.stopping = True
            assert proxy.end() == 0

        asyncio.run(_drive(proxy, load, threading.Thread(target=drain)))
        assert load.failures == []
