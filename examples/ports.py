"""The ports that a configuration names: who holds one already, and the same text on other ports."""

import re
import socket
from contextlib import ExitStack
from pathlib import Path

_NAMED = re.compile(r"(port_value: |127\.0\.0\.1:)(\d+)")


def named(text: str) -> list[int]:
    """The ports in ``text``, a configuration or a command line, each once and in order."""
    return list(dict.fromkeys(int(port) for _, port in _NAMED.findall(text)))


def moved(text: str, ports: dict[int, int]) -> str:
    """``text`` with every port that ``ports`` knows replaced."""
    return _NAMED.sub(lambda found: found[1] + str(ports.get(int(found[2]), found[2])), text)


def free(wanted: list[int]) -> dict[int, int]:
    """A free port of this machine for each wanted one; all are held until all are chosen, so that they differ."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in wanted]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return {port: sock.getsockname()[1] for port, sock in zip(wanted, sockets, strict=True)}


def listening() -> set[int]:
    """The TCP ports of this machine that somebody listens on, IPv4 and IPv6, without connecting to any."""
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"}
