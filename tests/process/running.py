"""A proxy in a process of its own, on ports that the system chose."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 20.0

# {extra}: more fields of the manager. {more}: more of the bootstrap, whose clusters routes may name.
CONFIG = """
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    traffic_direction: INBOUND
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          {extra}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, {action}}}]
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
{more}
"""
HELLO = "direct_response: {status: 200, body: {inline_string: hello}}"


def config(action: str = HELLO, extra: str = "", more: str = "") -> str:
    return CONFIG.format(action=action, extra=extra, more=more)


def cluster(port: int) -> str:
    """A cluster `origin` with one endpoint, for `more`."""
    address = f"{{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}"
    return (
        "  clusters: [{name: origin, load_assignment: {cluster_name: origin, "
        f"endpoints: [{{lb_endpoints: [{{endpoint: {{address: {address}}}}}]}}]}}}}]"
    )


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "meshproxy", *flags]


def run(*flags: str) -> "subprocess.CompletedProcess[str]":
    """A command line that ends by itself."""
    return subprocess.run(command(*flags), capture_output=True, text=True, cwd=REPOSITORY, timeout=60)


def wait_for(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)
    return value


class Running:
    """A proxy that serves; `log` is what it wrote to standard error so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", directory: Path) -> None:
        self.process = process
        self._directory = directory
        self.admin_port = 0
        self.port = 0

    @property
    def log(self) -> str:
        return (self._directory / "stderr").read_text()

    def wait_for_admin(self) -> None:
        self.admin_port = int(wait_for(self._admin_address).rpartition(":")[2])

    def wait_until_live(self) -> None:
        self.wait_for_admin()
        wait_for(lambda: self.admin("/ready")[0] == 200)
        self.find_port()

    def find_port(self) -> int:
        """Of the first listener; 0 as long as it has none."""
        address = json.loads(self.admin("/listeners?format=json")[1])["listener_statuses"][0]["local_address"]
        self.port = int(address.get("socket_address", {}).get("port_value", 0))
        return self.port

    def _admin_address(self) -> str:
        assert self.process.poll() is None, self.log
        path = self._directory / "admin"
        return path.read_text() if path.exists() else ""

    def admin(self, path: str, method: str = "GET") -> tuple[int, str]:
        return ask(self.admin_port, path, method)

    def stat(self, name: str) -> int:
        lines = self.admin(f"/stats?filter=^{name}$")[1].splitlines()
        return int(lines[0].rpartition(": ")[2]) if lines else -1

    def get(self) -> tuple[int, str]:
        return ask(self.port, "/")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> int:
        """The exit status, when it has ended."""
        return self.process.wait(PATIENCE)

    def children(self) -> list[int]:
        """The processes that it, and these, have started."""
        found = [self.process.pid]
        for pid in found:
            found += _children_of(pid)
        return found[1:]


def _children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        # It has ended meanwhile.
        return []


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


@contextmanager
def starting(directory: Path, text: str, *flags: str, script: str = "") -> Iterator[Running]:
    """A proxy that was just started; it is killed at the end if it still runs. script: what else it is to run first."""
    directory.mkdir(exist_ok=True)
    file = directory / "config.yaml"
    file.write_text(text)
    arguments = command("-c", str(file), "--admin-address-path", str(directory / "admin"), *flags)
    if script:
        arguments[1:3] = ["-c", f"{script}\nfrom meshproxy.__main__ import main\nmain()"]
    with (directory / "stderr").open("wb") as log:
        process = subprocess.Popen(arguments, cwd=REPOSITORY, stdout=log, stderr=log)
    try:
        yield Running(process, directory)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


@contextmanager
def running(directory: Path, text: str, *flags: str) -> Iterator[Running]:
    """A proxy that serves."""
    with starting(directory, text, *flags) as proxy:
        proxy.wait_until_live()
        yield proxy
