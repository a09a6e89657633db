"""What is known about one accepted connection, whatever is spoken on it."""

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from meshproxy.net.dial import SocketOptions

_ids = itertools.count()


def next_connection_id() -> int:
    """Connections from clients and to upstreams are numbered together, as in Envoy's logs."""
    return next(_ids)


class Owner(Protocol):
    """The listener, as far as its connections know it."""

    def connection_ended(self, connection: "Connection", admitted: bool = True) -> None: ...


class Connection:
    """Addresses are (host, port) for IP and (path, 0) for unix sockets."""

    __slots__ = (
        "alpn",
        "application_protocols",
        "chain",
        "direct_local",
        "direct_peer",
        "filter_state",
        "id",
        "ja3",
        "ja4",
        "listener",
        "local_close_reason",
        "local",
        "metadata",
        "peer",
        "record",
        "restored",
        "server_name",
        "started",
        "tls",
        "transport_failure",
        "transport_protocol",
        "upstream_source",
    )

    def __init__(self, listener: Owner, local: tuple[str, int], peer: tuple[str, int], started: float) -> None:
        self.id = next_connection_id()
        self.listener = listener
        # The filter chain that serves it, once one was chosen.
        self.chain: Any = None
        # What the listener's log says of it, where somebody kept more than the addresses.
        self.record: Any = None
        # `local` is where the client meant to go (original destination); `peer` who the client is (proxy protocol).
        self.local = local
        self.direct_local = local
        # Somebody on the way (the kernel, a PROXY header) said where the client meant to go; `local` is that.
        self.restored = False
        # A peer on a unix socket has no name of its own, and is called by that of the socket.
        self.peer = self.direct_peer = peer if peer[0] else local
        self.started = started
        # What listener filters saw in the first bytes: SNI, "tls" or "raw_buffer", and the protocols asked for.
        self.server_name = ""
        self.transport_protocol = "raw_buffer"
        self.application_protocols: tuple[str, ...] = ()
        # Fingerprints of the hello, where somebody wants them.
        self.ja3 = self.ja4 = ""
        # The protocol that TLS agreed on, and what else there is to know of it (a TlsFacts), once hands are shaken.
        self.alpn = ""
        self.tls: Any = None
        self.transport_failure = ""
        # Connections to upstreams for it come from there, and not from where the cluster says (original_src).
        self.upstream_source: SocketOptions | None = None
        # Why this side closes it, in Envoy's words; of some reasons.
        self.local_close_reason = ""
        self.filter_state: dict[str, Any] | None = None
        self.metadata: dict[str, dict[str, Any]] | None = None

    def restore(self, destination: tuple[str, int]) -> None:
        """Notes where the client meant to go."""
        self.local = destination
        self.restored = True

    def set_state(self, key: str, value: Any) -> None:
        """For filters and logs that come later."""
        if self.filter_state is None:
            self.filter_state = {}
        self.filter_state[key] = value

    def ended(self) -> None:
        """The socket is closed: whoever held it says so, once."""
        self.listener.connection_ended(self)

    def ended_early(self) -> None:
        """The same where a network filter did not let it pass: the filters hear nothing of its end."""
        self.listener.connection_ended(self, admitted=False)


@lru_cache(1024)
def address_text(address: tuple[str, int]) -> str:
    """`127.0.0.1:80`, `[::1]:80`, or a unix socket's path, as Envoy prints addresses."""
    host, port = address
    if not port and (host.startswith(("/", "@")) or not host):
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def socket_address(name: Any) -> tuple[str, int]:
    """(host, port) from what getsockname or getpeername gives for any family."""
    if isinstance(name, tuple):
        host = name[0]
        # A socket for both families shows IPv4 peers as mapped addresses; nobody who reads a log wants to see that.
        return (host[7:] if host.startswith("::ffff:") and "." in host else host), name[1]
    if isinstance(name, bytes):
        return "@" + name[1:].decode("latin-1"), 0
    return name or "", 0
