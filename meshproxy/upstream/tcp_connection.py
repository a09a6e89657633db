"""One TCP connection to an endpoint that serves one client from its dial to its end, and what it counts for."""

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from meshproxy.net.connection import Connection, next_connection_id, socket_address
from meshproxy.net.dial import DialError, SocketOptions, attach, dial_socket, secure, send_header
from meshproxy.net.transport_options import NO_OPTIONS, Secured

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.endpoint import Endpoint


class TcpConnection:
    """What it takes from the cluster's limits, a connection and a pending request, whoever makes it has taken already.

    local: this side's address, once it is connected. source: where it comes from, if not from where the cluster says.
    client: whom it serves, where that is one connection. dialled_at, connected_at: loop times.
    """

    __slots__ = (
        "_cluster", "_connected", "_endpoint", "_limits", "_loop", "_secured", "_source", "connected_at", "dialled_at",
        "id", "local", "tls",
    )  # fmt: skip

    # %UPSTREAM_PROTOCOL%
    protocol: str | None = None

    def __init__(
        self, loop: asyncio.AbstractEventLoop, cluster: "Cluster", endpoint: "Endpoint",
        source: SocketOptions | None = None, client: Connection | None = None,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._cluster = cluster
        self._endpoint = endpoint
        self._source = source
        transports = cluster.transports
        self._secured: Secured | None = None
        if transports is not None:
            options = transports.options(client, endpoint) if client is not None else NO_OPTIONS
            self._secured = transports.secured(endpoint, options)
        self._limits = cluster.limits[0]
        self.id = next_connection_id()
        self.dialled_at = loop.time()
        self.connected_at = 0.0
        self._connected = False
        self.local: tuple[str, int] | None = None
        self.tls: Any = None

    @property
    def plain(self) -> bool:
        """The bytes on the socket are those that are sent."""
        return self._secured is None or self._secured.tls is None

    async def open(self) -> socket.socket:
        """A connected non-blocking socket of a plain connection; `closed` has to follow. Raises DialError, which is
        counted already."""
        return await self._open(None)

    async def connect(self, protocol: asyncio.Protocol) -> None:
        """The same for any connection, with a protocol that has its transport."""
        sock = await self._open(None if self.plain else protocol)
        if self.plain:
            await attach(self._loop, protocol, sock)

    async def _open(self, protocol: asyncio.Protocol | None) -> socket.socket:
        """protocol: put behind TLS."""
        self._count_dial()
        cluster, secured = self._cluster, self._secured
        options = cluster.socket_options.under(self._source)
        timeout = cluster.pool_settings.connect_timeout
        deadline = self._loop.time() + timeout
        try:
            sock = await dial_socket(self._loop, self._endpoint.address, timeout, options)
            if secured is not None:
                send_header(sock, secured)
            self.local = socket_address(sock.getsockname())
            if protocol is not None and secured is not None:
                left = deadline - self._loop.time() if timeout else 0.0
                await secure(self._loop, _Arrival(self, protocol), sock, left, secured)
        except DialError as error:
            self._count_failure(error)
            raise
        except asyncio.CancelledError:
            if not self._connected:
                self._dialled()
                cluster.stats.upstream_rq_cancelled += 1
                self.closed(local=True)
            raise
        if protocol is None:
            self.connected()
        return sock

    def closed(self, local: bool) -> None:
        """local: this side ended it, rather than the endpoint."""
        stats, endpoint_stats = self._cluster.stats, self._endpoint.stats
        self._limits.connections.give()
        stats.upstream_cx_active -= 1
        endpoint_stats.cx_active -= 1
        stats.upstream_cx_destroy += 1
        if local:
            stats.upstream_cx_destroy_local += 1
        else:
            stats.upstream_cx_destroy_remote += 1
        stats.upstream_cx_length_ms.record(round((self._loop.time() - self.dialled_at) * 1000))
        if not self._connected:
            return
        self._limits.requests.give()
        endpoint_stats.rq_active -= 1
        stats.upstream_cx_destroy_with_active_rq += 1
        if local:
            stats.upstream_cx_destroy_local_with_active_rq += 1
        else:
            stats.upstream_cx_destroy_remote_with_active_rq += 1

    def _count_dial(self) -> None:
        stats, endpoint_stats = self._cluster.stats, self._endpoint.stats
        stats.upstream_cx_total += 1
        stats.upstream_cx_active += 1
        stats.upstream_rq_pending_total += 1
        stats.upstream_rq_pending_active += 1
        endpoint_stats.cx_total += 1
        endpoint_stats.cx_active += 1
        endpoint_stats.rq_pending_active += 1

    def _dialled(self) -> None:
        self._limits.pending.give()
        self._cluster.stats.upstream_rq_pending_active -= 1
        self._endpoint.stats.rq_pending_active -= 1

    def connected(self, tls: Any = None) -> None:
        """Bytes may be sent. tls: what is known of it."""
        self.tls = tls
        self._dialled()
        self._connected = True
        stats, endpoint_stats = self._cluster.stats, self._endpoint.stats
        self._limits.requests.add()
        stats.upstream_rq_total += 1
        endpoint_stats.rq_total += 1
        endpoint_stats.rq_active += 1
        self.connected_at = self._loop.time()
        stats.upstream_cx_connect_ms.record(round((self.connected_at - self.dialled_at) * 1000))

    def _count_failure(self, error: DialError) -> None:
        self._dialled()
        stats = self._cluster.stats
        stats.upstream_cx_connect_fail += 1
        stats.upstream_rq_pending_failure_eject += 1
        self._endpoint.stats.cx_connect_fail += 1
        if error.timeout:
            stats.upstream_cx_connect_timeout += 1
        if error.bind:
            stats.bind_errors += 1
        self.closed(error.local)


class _Arrival(asyncio.Protocol):
    """Takes note of a connection that is there at last, before the protocol that it is for hears of it."""

    def __init__(self, connection: TcpConnection, protocol: asyncio.Protocol) -> None:
        self._connection = connection
        self._protocol = protocol

    def connection_made(self, transport: Any) -> None:
        self._connection.connected(transport.get_extra_info("tls"))
        transport.set_protocol(self._protocol)
        self._protocol.connection_made(transport)
