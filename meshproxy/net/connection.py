"""What is known about one accepted connection, whatever is spoken on it."""

import itertools
from typing import Any

_ids = itertools.count()


class Connection:
    """Addresses are (host, port) for IP and (path, 0) for unix sockets."""

    __slots__ = (
        "alpn",
        "direct_peer",
        "filter_state",
        "id",
        "listener",
        "local",
        "metadata",
        "peer",
        "server_name",
        "started",
        "tls",
        "transport_failure",
    )

    def __init__(self, listener: Any, local: tuple[str, int], peer: tuple[str, int], started: float) -> None:
        self.id = next(_ids)
        self.listener = listener
        # `local` is where the client meant to go (original destination); `peer` who the client is (proxy protocol).
        self.local = local
        self.peer = peer
        self.direct_peer = peer
        self.started = started
        self.server_name = ""
        self.alpn = ""
        self.tls: Any = None
        self.transport_failure = ""
        self.filter_state: dict[str, Any] | None = None
        self.metadata: dict[str, dict[str, Any]] | None = None


def address_text(address: tuple[str, int]) -> str:
    """`127.0.0.1:80`, `[::1]:80`, or a unix socket's path, as Envoy prints addresses."""
    host, port = address
    if not port and (host.startswith(("/", "@")) or not host):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def socket_address(name: Any) -> tuple[str, int]:
    """(host, port) from what getsockname or getpeername gives for any family."""
    if isinstance(name, tuple):
        return name[0], name[1]
    if isinstance(name, bytes):
        return "@" + name[1:].decode("latin-1"), 0
    return name or "", 0
