"""Lines to a statsd server over TCP, through a cluster (tcp_cluster_name)."""

import asyncio
import logging
from typing import Any

from meshproxy.net.dial import DialError
from meshproxy.net.tasks import start_task
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.tcp_connection import TcpConnection

_log = logging.getLogger("stats")

# Bytes that may wait for the server, as in Envoy.
_MAX_WAITING = 16 * 1024 * 1024


class StatsdConnection(asyncio.Protocol):
    """Implements sinks.statsd.Writer. Lines wait while it connects; without a server they are lost, and counted."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._connection: TcpConnection | None = None
        self._transport: Any = None
        self._waiting: list[bytes] = []
        self._size = 0
        self._task: asyncio.Task[Any] | None = None
        self._closed = False
        self._failing = False

    def hash_key(self) -> int | None:
        """Nothing of it says where it should go."""
        return None

    def lb_metadata(self) -> dict[str, Any]:
        """It may go to any endpoint."""
        return {}

    def write(self, lines: list[str]) -> None:
        data = "".join([f"{line}\n" for line in lines]).encode("latin-1", "meshproxy.utf8")
        waiting = 0 if self._transport is None else self._transport.get_write_buffer_size()
        if waiting + self._size + len(data) > _MAX_WAITING:
            self._cluster.stats.upstream_cx_overflow += 1
            self._warn("it takes them too slowly")
            return
        self._waiting.append(data)
        self._size += len(data)

    def flush(self) -> None:
        if self._transport is not None:
            self._send()
        elif self._task is None and not self._closed:
            self._task = start_task(self._connect(), "statsd connection")

    def close(self) -> None:
        self._closed = True
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.close()

    async def _connect(self) -> None:
        try:
            await self._dial()
        except DialError as error:
            self._lost(f"cannot connect: {error}")
        except OSError as error:
            self._lost(error.strerror or str(error))
        finally:
            self._task = None

    async def _dial(self) -> None:
        cluster = self._cluster
        endpoint = cluster.balancer.pick(self)
        if endpoint is None:
            cluster.stats.upstream_cx_none_healthy += 1
            self._lost("no healthy endpoint")
            return
        limits = cluster.limits[0]
        limits.pending.add()
        limits.connections.add()
        loop = asyncio.get_running_loop()
        connection = TcpConnection(loop, cluster, endpoint)
        self._connection = connection
        try:
            await connection.connect(self)
        except BaseException:
            self._connection = None
            raise

    # ---- from the transport ----

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._failing = False
        self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.closed(local=self._closed)
        if not self._closed:
            self._lost("the server has closed the connection")

    def _send(self) -> None:
        self._cluster.stats.upstream_cx_tx_bytes_total += self._size
        self._transport.write(b"".join(self._waiting))
        self._waiting.clear()
        self._size = 0

    def _lost(self, why: str) -> None:
        self._waiting.clear()
        self._size = 0
        self._warn(why)

    def _warn(self, why: str) -> None:
        """Once, until it has a connection again."""
        if not self._failing:
            self._failing = True
            _log.warning("stats cannot be sent to cluster %s: %s", self._cluster.name, why)
