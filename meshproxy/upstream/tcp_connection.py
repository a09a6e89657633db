"""One TCP connection to an endpoint that serves one client from its dial to its end, and what it counts for."""

import asyncio
import socket
from typing import TYPE_CHECKING

from meshproxy.net.connection import next_connection_id, socket_address
from meshproxy.net.dial import DialError, SocketOptions, dial_socket

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.endpoint import Endpoint


class TcpConnection:
    """What it takes from the cluster's limits, a connection and a pending request, whoever makes it has taken already.

    local: this side's address, once `open` has returned. source: where it comes from, if not from where the cluster
    says. dialled_at, connected_at: loop times.
    """

    __slots__ = (
        "_cluster", "_connected", "_endpoint", "_limits", "_loop", "_source", "connected_at", "dialled_at", "id",
        "local",
    )  # fmt: skip

    # %UPSTREAM_PROTOCOL%
    protocol: str | None = None

    def __init__(
        self, loop: asyncio.AbstractEventLoop, cluster: "Cluster", endpoint: "Endpoint",
        source: SocketOptions | None = None,
    ) -> None:  # fmt: skip
        self._loop = loop
        self._cluster = cluster
        self._endpoint = endpoint
        self._source = source
        self._limits = cluster.limits[0]
        self.id = next_connection_id()
        self.dialled_at = loop.time()
        self.connected_at = 0.0
        self._connected = False
        self.local: tuple[str, int] | None = None

    async def open(self) -> socket.socket:
        """A connected non-blocking socket; `closed` has to follow. Raises DialError, which is counted already."""
        self._count_dial()
        cluster = self._cluster
        if cluster.tls is not None:
            error = DialError("TLS to the upstream of a TCP proxy or tunnel is not supported yet", bind=True)
            self._count_failure(error)
            raise error
        options = cluster.socket_options.under(self._source)
        try:
            sock = await dial_socket(
                self._loop, self._endpoint.address, cluster.pool_settings.connect_timeout, options
            )
        except DialError as error:
            self._count_failure(error)
            raise
        except asyncio.CancelledError:
            self._dialled()
            cluster.stats.upstream_rq_cancelled += 1
            self.closed(local=True)
            raise
        self._count_success()
        self.local = socket_address(sock.getsockname())
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

    def _count_success(self) -> None:
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
