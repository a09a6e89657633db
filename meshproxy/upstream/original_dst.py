"""Clusters of type ORIGINAL_DST: each connection goes where it was meant to go (Envoy's OriginalDstCluster).

Every destination that is asked for becomes an endpoint, which leaves again when nobody has used it for a while.
"""

import asyncio
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from meshproxy.upstream.endpoint import Address, Endpoint

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster

# What filters may set to choose the destination themselves: "10.0.0.1:80".
DESTINATION = "envoy.network.transport_socket.original_dst_address"


class OriginalDst:
    """The balancer of such a cluster, and what cleans it up.

    asked: what finds a value like "10.0.0.1:80" in a stream that goes before the connection's own destination; the
    first that is an address counts. port: in place of the destination's; None to keep it.
    """

    __slots__ = ("_by_address", "_cluster", "_timer", "_used", "asked", "cleanup_seconds", "port")

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster
        self.asked: tuple[Callable[[Any], str | None], ...] = ()
        self.port: int | None = None
        self.cleanup_seconds = 5.0
        self._by_address: dict[Address, Endpoint] = {}
        # Those that were picked since it was last cleaned up.
        self._used: set[Address] = set()
        self._timer: asyncio.TimerHandle | None = None

    # ---- as a balancer ----

    def update(self, endpoints: list[Endpoint]) -> None: ...

    def rebuild(self, endpoints: list[Endpoint]) -> Iterator[None]:
        yield

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        """stream: a Stream or a ConnectionRecord. None where it is not known where the client meant to go."""
        if stream is None:
            return None
        connection = stream.connection
        address: Address | None = None
        if self.asked or stream.filter_state is not None or connection.filter_state is not None:
            address = self._override(stream)
        if address is None:
            if not connection.restored:
                return None
            address = connection.local
        if self.port is not None:
            address = address[0], self.port
        endpoint = self._by_address.get(address)
        if endpoint is None:
            endpoint = self._add(address)
        self._used.add(address)
        return endpoint

    def _override(self, stream: Any) -> Address | None:
        """What somebody says instead: a filter by filter state, or else what the configuration asks."""
        for state in (stream.filter_state, stream.connection.filter_state):
            if state is not None and DESTINATION in state:
                address = parse_address(str(state[DESTINATION]))
                if address is not None:
                    return address
        for ask in self.asked:
            text = ask(stream)
            if text is not None:
                address = parse_address(text)
                if address is not None:
                    return address
                self._cluster.stats.original_dst_host_invalid += 1
        return None

    def _add(self, address: Address) -> Endpoint | None:
        if not address[1]:
            # Nothing can listen there.
            return None
        endpoint = self._by_address[address] = self._endpoint(address)
        self._cluster.add_endpoint(endpoint)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.cleanup_seconds, self._clean)
        return endpoint

    def _endpoint(self, address: Address) -> Endpoint:
        endpoint = Endpoint(address)
        endpoint.hostname = self._cluster.name + endpoint.address_text
        return endpoint

    # ---- as what finds endpoints ----

    def start(self) -> None: ...

    async def wait(self) -> None: ...

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def show(self, found: list[Address]) -> None:
        """In main, which picks none: what its workers have found, for who asks."""
        self._cluster.set_endpoints([self._endpoint(address) for address in found])

    def _clean(self) -> None:
        """An endpoint stays while it has connections, and until one whole interval has passed without it."""
        known, used = self._by_address, self._used
        gone = {
            address: endpoint for address, endpoint in known.items() if address not in used and not endpoint.in_use()
        }
        used.clear()
        if gone:
            for address in gone:
                del known[address]
            self._cluster.remove_endpoints(list(gone.values()))
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self.cleanup_seconds, self._clean) if known else None


def parse_address(text: str) -> Address | None:
    """`10.0.0.1:80` or `[2001:db8::1]:80`; None where it is neither."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        ip = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return None
    if not colon or bracketed != (ip.version == 6) or not (port.isascii() and port.isdigit() and int(port) < 65536):
        return None
    return str(ip), int(port)
