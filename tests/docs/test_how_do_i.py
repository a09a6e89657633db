"""What the pages of recipes show is tried: each configuration is served, each command is run, its answer compared.

A page's addresses 10.0.x.y are 127.10.x.y here, all of them one server that answers with its own address in the page's
terms. `?broken=ADDRESS` makes that one answer 503, `?slow=ADDRESS` makes it slow (`all`: every one), `?to=URL` answers
with a redirect, and `/last` with the host that the request before it named. In an answer `…` stands for anything; lines
may come in any order; a command that comes twice gives the same.
"""

import re
import shutil
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml

from tests.process.running import Running, config, running, wait_for

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("traffic-shifting.md", "load-balancing.md", "circuit-breakers.md", "retries-and-timeouts.md", "mirroring.md")
_BLOCK = re.compile(r"```(yaml|console)\n(.*?)```", re.DOTALL)


class Recipe(NamedTuple):
    page: str
    config: str
    # Commands and the lines that they print.
    commands: list[tuple[str, list[str]]]


def recipes(page: str) -> list[Recipe]:
    found: list[Recipe] = []
    for language, text in _BLOCK.findall((DOCS / page).read_text()):
        if language == "yaml":
            found.append(Recipe(page, text, []))
        else:
            for line in text.splitlines():
                if line.startswith("$ "):
                    found[-1].commands.append((line[2:], []))
                else:
                    found[-1].commands[-1][1].append(line)
    return found


ALL = [recipe for page in PAGES for recipe in recipes(page)]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("0.0.0.0", 0), Answer)
        self.failing: set[str] = set()
        # By address.
        self.last_hosts: dict[str, str] = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        name = self.connection.getsockname()[0].replace("127.10.", "10.0.", 1)
        asked = dict(parse_qsl(urlsplit(self.path).query))
        if self.path.startswith("/slow") or asked.get("slow") in (name, "all"):
            time.sleep(0.5)
        body = f"{name}\n".encode()
        if self.path == "/last":
            body = f"{self.server.last_hosts.get(name)}\n".encode()
        else:
            self.server.last_hosts[name] = self.headers["host"]
        fails = asked.get("broken") in (name, "all") or (self.path == "/healthz" and name in self.server.failing)
        self.send_response(503 if fails else 302 if "to" in asked else 200)
        if "to" in asked:
            self.send_header("location", asked["to"])
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None: ...


def here(text: str) -> str:
    return re.sub(r"\b10\.0\.(\d+\.\d+)\b", r"127.10.\1", text)


def serving(recipe: Recipe, port: int) -> str:
    """A whole configuration with the recipe's routes and clusters."""
    text = here(recipe.config).replace("port_value: 8080", f"port_value: {port}")
    parts = yaml.safe_load(text)
    whole = yaml.safe_load(config())
    manager = whole["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][-1]["typed_config"]
    manager["route_config"]["virtual_hosts"] = [{"name": "all", "domains": ["*"], "routes": parts["routes"]}]
    whole["static_resources"]["clusters"] = parts["clusters"]
    whole["layered_runtime"] = {"layers": [{"name": "admin", "admin_layer": {}}]}
    return str(yaml.safe_dump(whole))


def run(command: str, proxy: Running, server: Server) -> list[str]:
    if command.startswith("fail "):
        name = command.removeprefix("fail ")
        server.failing.add(name)
        wait_for(lambda: f"{here(name)}:{server.server_port}::health_flags::/" in proxy.admin("/clusters")[1])
        return []
    assert command.startswith("curl ")
    line = command.replace("localhost:10000", f"127.0.0.1:{proxy.port}")
    line = line.replace("localhost:9901", f"127.0.0.1:{proxy.admin_port}")
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=20)
    text = re.sub(r"\b127\.10\.(\d+\.\d+)\b", r"10.0.\1", done.stdout).replace(f":{server.server_port}:", ":8080:")
    return text.splitlines()


def same(shown: list[str], got: list[str]) -> bool:
    patterns = [re.escape(line).replace("…", ".*") for line in sorted(shown)]
    lines = sorted(got)
    return len(lines) == len(patterns) and all(map(re.fullmatch, patterns, lines))


@pytest.mark.parametrize("recipe", ALL, ids=lambda each: f"{each.page}-{ALL.index(each)}")
def test_recipe(recipe: Recipe, tmp_path: Path) -> None:
    assert shutil.which("curl"), "the pages have curl commands"
    server = Server()
    with running(tmp_path, serving(recipe, server.server_port)) as proxy:
        before: dict[str, list[str]] = {}
        for command, shown in recipe.commands:
            got = run(command, proxy, server)
            if "9901/stats" in command or command.endswith("/last"):
                # Nobody waits for a mirror's request and its answer.
                wait_for(lambda command=command, shown=shown: same(shown, run(command, proxy, server)))
                continue
            assert same(shown, got), f"{command}\n" + "\n".join(got)
            if any("…" in line for line in shown):
                assert before.setdefault(command, got) == got
    server.shutdown()
    server.server_close()


def test_addresses_of_the_pages_are_this_machines() -> None:
    with socket.socket() as sock:
        sock.bind(("127.10.2.1", 0))
