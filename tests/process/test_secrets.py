"""What a request, an answer or a configuration keeps secret is nowhere in the process log, whatever its level."""

import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from .running import ask, cluster, command, config, running

SECRET = "s3cr3tV4lue"
EXTRA = "http_protocol_options: {accept_http_10: true}\n          upgrade_configs: [{upgrade_type: websocket}]"
# Every place of a request, well-formed or not, that may hold what is nobody else's business.
REQUESTS = (
    f"GET /?token={SECRET} HTTP/1.1\r\nhost: a\r\n\r\n",
    f"GET /{SECRET} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {SECRET}\r\ncookie: id={SECRET}\r\n\r\n",
    f"POST / HTTP/1.1\r\nhost: {SECRET}\r\ncontent-length: 11\r\n\r\n{SECRET}",
    f"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {SECRET}\r\n\r\n",
    f"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{SECRET}\r\n",
    f"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: {SECRET}\r\n\r\n",
    f"GET http://user:{SECRET}@a/ HTTP/1.1\r\nhost: a\r\n\r\n",
    f"{SECRET} / HTTP/1.1\r\nhost: a\r\n\r\n",
    f"GET / HTTP/1.1\r\nhost: a\r\n{SECRET}\r\n\r\n",
    f"GET / HTTP/1.1\r\nhost: a\r\nbad header: {SECRET}\r\n\r\n",
    f"GET / HTTP/1.1\r\nhost: a\r\nx: {SECRET}\x00\r\n\r\n",
    f"GET / {SECRET}\r\nhost: a\r\n\r\n",
    f"\x16\x03\x01{SECRET}\r\n\r\n",
    f"GET /%zz{SECRET}#{SECRET} HTTP/1.1\r\nhost: a\r\n\r\n",
    f"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nx: {SECRET}\r\n\r\n{SECRET}",
    f"CONNECT {SECRET}:443 HTTP/1.1\r\nhost: a\r\n\r\n{SECRET}",
    f"GET / HTTP/1.0\r\nauthorization: {SECRET}\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: a\r\n" + f"x-big: {SECRET}\r\n" * 200 + "\r\n",
)
ANSWERS = (
    f"HTTP/1.1 200 OK\r\nset-cookie: id={SECRET}\r\ncontent-length: 11\r\n\r\n{SECRET}",
    f"HTTP/1.1 200 {SECRET}\r\ncontent-length: {SECRET}\r\n\r\n",
    f"{SECRET}\r\n\r\n",
    f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{SECRET}\r\n",
    f"HTTP/1.1 200 OK\r\n{SECRET}\r\n\r\n",
    f"HTTP/1.1 101 Switching Protocols\r\nset-cookie: {SECRET}\r\n\r\n{SECRET}",
    f"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{SECRET}",
)


ROUNDS = 2


class Origin:
    """Answers what comes with one of `ANSWERS` after the other, and closes."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._count = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                client.settimeout(1)
                try:
                    client.recv(100_000)
                    client.sendall(ANSWERS[self._count % len(ANSWERS)].encode("latin-1"))
                except OSError:
                    continue
                finally:
                    self._count += 1

    def close(self) -> None:
        self._listening.close()


def say(port: int, request: str) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.settimeout(0.05)
        client.sendall(request.encode("latin-1"))
        answer = b""
        try:
            while data := client.recv(10_000):
                answer += data
        except (TimeoutError, ConnectionError):
            pass
        return answer


@pytest.mark.parametrize("workers", ["1", "2"])
def test_requests_and_answers(tmp_path: Path, workers: str) -> None:
    origin = Origin()
    layers = "layered_runtime: {layers: [{name: admin, admin_layer: {}}]}"
    text = config("route: {cluster: origin}", EXTRA, f"{cluster(origin.port)}\n{layers}")
    flags = ("-l", "trace", "--concurrency", workers)
    with running(tmp_path, text, *flags) as proxy:
        answered = 0
        for _ in range(ROUNDS):
            for request in REQUESTS:
                answered += bool(say(proxy.port, request))
        assert answered > ROUNDS * len(REQUESTS) // 2
        for request in REQUESTS:
            say(proxy.admin_port, request)
        for path in (f"/runtime_modify?key={SECRET}", f"/logging?level={SECRET}", f"/{SECRET}?{SECRET}={SECRET}",
                     f"/stats?filter=({SECRET}", f"/config_dump?resource={SECRET}"):  # fmt: skip
            ask(proxy.admin_port, path, "POST")
            ask(proxy.admin_port, path)
        proxy.admin("/quitquitquit", "POST")
        assert proxy.end() == 0
        log = proxy.log
    origin.close()
    assert re.search(r"\[main\] .*starting to serve", log)
    assert [line for line in log.splitlines() if SECRET in line] == []


KEYS = (
    # An inline key of the wrong type, a key in a message that has no such field, YAML and JSON that are none.
    "private_key: {inline_string: [%s]}", "private_key: {inline_bytes: '%s!'}", "private_key: {inline: %s}",
    "private_key: {inline_string: {a: %s}}", "private_key: %s", "private_key: [%s", "private_key: {inline_string: '%s'",
    "password: {inline_string: %s}, nothing: 1",
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("mode", ["validate", "serve"])
def test_keys_in_a_configuration_that_is_refused(tmp_path: Path, key: str, mode: str) -> None:
    path = tmp_path / "config.yaml"
    certificate = "certificate_chain: {inline_string: chain}, " + key % SECRET
    path.write_text(
        f"static_resources:\n  secrets:\n  - name: own\n    tls_certificate: {{{certificate}}}\n"
        "  listeners: [{name: without_address}]\n"
    )
    flags = ("-c", str(path), "--mode", mode, "-l", "trace", "--log-path", str(tmp_path / "log"))
    done = subprocess.run(command(*flags), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr
    assert SECRET not in done.stdout + done.stderr + (tmp_path / "log").read_text()
