"""The HTTP/1 connections of one worker to one endpoint."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from meshproxy.http.failures import CONNECT_FAILED, CONNECT_TIMEOUT, OVERFLOW, Failure
from meshproxy.net.dial import DialError, dial
from meshproxy.net.tasks import start_task
from meshproxy.upstream.http1_client import Http1Client

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.endpoint import Endpoint


@dataclass(slots=True)
class PoolSettings:
    """What every connection of a cluster has in common. Seconds and bytes; 0 means no limit."""

    connect_timeout: float = 5.0
    idle_timeout: float = 3600.0
    max_duration: float = 0.0
    max_requests: int = 0
    max_response_head: int = 60 * 1024
    buffer_limit: int = 1024 * 1024
    preconnect_ratio: float = 1.0


class Waiting(Protocol):
    """An attempt that waits for a connection."""

    def on_ready(self, client: Http1Client) -> None: ...
    def on_reset(self, failure: Failure, reason: str) -> None: ...


class Http1Pool:
    """Idle connections are taken from the end (the warmest); attempts that find none wait in order."""

    __slots__ = ("clients", "cluster", "dialling", "endpoint", "idle", "settings", "waiting")

    def __init__(self, cluster: "Cluster", endpoint: "Endpoint") -> None:
        self.cluster = cluster
        self.endpoint = endpoint
        self.settings: PoolSettings = cluster.pool_settings
        self.idle: list[Http1Client] = []
        self.clients: set[Http1Client] = set()
        self.dialling: set[asyncio.Task[Any]] = set()
        self.waiting: deque[Waiting] = deque()

    def take(self, attempt: Waiting) -> Http1Client | None:
        """A connection that is ready, or None: then `attempt.on_ready` or `on_reset` follows."""
        idle = self.idle
        while idle:
            client = idle.pop()
            if not client.closing:
                return client
        limits = self.cluster.limits[0]
        stats = self.cluster.stats
        if limits.pending >= limits.max_pending:
            stats.upstream_rq_pending_overflow += 1
            attempt.on_reset(OVERFLOW, "")
            return None
        limits.pending += 1
        stats.upstream_rq_pending_total += 1
        stats.upstream_rq_pending_active += 1
        self.waiting.append(attempt)
        self._dial_for_waiting()
        return None

    def forget(self, attempt: Waiting) -> None:
        """The attempt waits no longer."""
        if attempt in self.waiting:
            self.waiting.remove(attempt)
            self._left_queue()

    def release(self, client: Http1Client) -> None:
        """An exchange ended well: the connection serves the next one."""
        settings = self.settings
        if client.closing or client not in self.clients:
            client.close()
            return
        if settings.max_requests and client.requests >= settings.max_requests:
            self.cluster.stats.upstream_cx_max_requests += 1
            client.close()
            return
        if self.waiting:
            self._serve(client)
            return
        self.idle.append(client)

    def retire(self, client: Http1Client) -> None:
        """The connection must not serve again once its exchange is over."""
        self.clients.discard(client)

    def lost(self, client: Http1Client, busy: bool) -> None:
        if client in self.idle:
            self.idle.remove(client)
        self.clients.discard(client)
        self.cluster.limits[0].connections -= 1
        stats = self.cluster.stats
        stats.upstream_cx_active -= 1
        stats.upstream_cx_destroy += 1
        if busy:
            stats.upstream_cx_destroy_with_active_rq += 1
        stats.upstream_cx_length_ms.record((asyncio.get_running_loop().time() - client.connected_at) * 1000)
        self.endpoint.stats.cx_active -= 1
        if self.waiting:
            self._dial_for_waiting()

    def close(self) -> None:
        for task in self.dialling:
            task.cancel()
        for client in list(self.clients):
            client.close()

    def _dial_for_waiting(self) -> None:
        limits = self.cluster.limits[0]
        while len(self.dialling) < len(self.waiting):
            if limits.connections >= limits.max_connections:
                self.cluster.stats.upstream_cx_overflow += 1
                if self.clients or self.dialling:
                    return
            limits.connections += 1
            task = start_task(self._dial(), "dial")
            self.dialling.add(task)
            task.add_done_callback(self.dialling.discard)

    async def _dial(self) -> None:
        stats = self.cluster.stats
        stats.upstream_cx_total += 1
        stats.upstream_cx_http1_total += 1
        stats.upstream_cx_active += 1
        self.endpoint.stats.cx_total += 1
        self.endpoint.stats.cx_active += 1
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            client = await dial(
                loop, lambda: Http1Client(self), self.endpoint.address, self.settings.connect_timeout,
                self.cluster.socket_options,
            )  # fmt: skip
        except DialError as error:
            self._dial_failed(error)
            return
        client.connected_at = loop.time()
        stats.upstream_cx_connect_ms.record((client.connected_at - started) * 1000)
        self.clients.add(client)
        if self.waiting:
            self._serve(client)
        else:
            self.idle.append(client)

    def _dial_failed(self, error: DialError) -> None:
        stats = self.cluster.stats
        stats.upstream_cx_connect_fail += 1
        stats.upstream_cx_active -= 1
        stats.upstream_cx_destroy += 1
        self.cluster.limits[0].connections -= 1
        self.endpoint.stats.cx_connect_fail += 1
        self.endpoint.stats.cx_active -= 1
        if error.timeout:
            stats.upstream_cx_connect_timeout += 1
        failure = CONNECT_TIMEOUT if error.timeout else CONNECT_FAILED
        # Envoy fails everything that waits when a connection cannot be made.
        waiting, self.waiting = self.waiting, deque()
        for attempt in waiting:
            self._left_queue()
            stats.upstream_rq_pending_failure_eject += 1
            attempt.on_reset(failure, error.reason)

    def _serve(self, client: Http1Client) -> None:
        attempt = self.waiting.popleft()
        self._left_queue()
        attempt.on_ready(client)

    def _left_queue(self) -> None:
        self.cluster.limits[0].pending -= 1
        self.cluster.stats.upstream_rq_pending_active -= 1
