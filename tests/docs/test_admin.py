"""docs/admin.md: its configuration is served, its commands are given one after the other, and answer what it shows."""

import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meshproxy.process.admin_client import ask
from tests.process.running import Running, command

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "admin.md").read_text()
PORTS = ("9901", "8080", "9080", "9081")


def examples() -> list[tuple[str, list[str]]]:
    """Each command of the page, and the lines that it answers."""
    found: list[tuple[str, list[str]]] = []
    for line in re.findall(r"^    (.*)$", PAGE.partition("```\n")[2], re.MULTILINE):
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """The page's ports -> those that are taken instead."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    ports = {port: str(sock.getsockname()[1]) for port, sock in zip(PORTS, sockets, strict=True)}
    for sock in sockets:
        sock.close()
    config = PAGE.partition("```yaml\n")[2].partition("```")[0]
    path = folder / "envoy.yaml"
    path.write_text(with_ports(config, ports))
    address = str(folder / "admin")
    with (folder / "stderr").open("wb") as log:
        flags = ("-c", str(path), "--admin-address-path", address)
        process = subprocess.Popen(command(*flags), stderr=log, cwd=REPOSITORY)
    try:
        Running(process, folder).wait_until_live()
        yield ports
        assert process.wait(20) == 0, "the last command ends it"
    finally:
        process.kill()
        process.wait()


def with_ports(text: str, ports: dict[str, str]) -> str:
    return re.sub(rf"\b({'|'.join(ports)})\b", lambda found: ports[found[0]], text)


def give(line: str, ports: dict[str, str]) -> str:
    words = shlex.split(with_ports(line, ports))
    if words[0] == "meshproxy":
        called = [sys.executable, "-m", *words]
        done = subprocess.run(called, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
        assert done.returncode == 0, done.stderr
        answer = done.stdout
    else:
        assert words[:2] == ["curl", "-s"], line
        method = "POST" if words[2:4] == ["-X", "POST"] else "GET"
        address, _, path = words[-1].partition("/")
        answer = ask(address, method, path).body.decode()
    return with_ports(answer, {port: name for name, port in ports.items()})


def shown(lines: list[str]) -> str:
    """The answer that the page shows as a regular expression: `…` is anything, on a line of its own any lines."""
    parts = [r"(.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in lines]
    return "".join(parts)


def test_every_command_answers_what_the_page_shows(tmp_path: Path) -> None:
    tried = examples()
    assert len(tried) > 15
    with served(tmp_path) as ports:
        for line, answer in tried:
            printed = give(line, ports)
            assert re.fullmatch(shown(answer), printed), f"$ {line}\n{printed[:2000]}"

