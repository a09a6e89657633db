"""The ports that a configuration names: who holds one already, and the same text on other ports."""

import errno
import re
import socket
from contextlib import ExitStack

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


def in_use(ports: list[int]) -> list[int]:
    """Those of ``ports`` on 127.0.0.1 that somebody else listens on."""
    taken = []
    for port in ports:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                taken.append(port)
    return taken
