"""What pools of all protocols have in common: attempts that wait, connections that are dialled, limits and counters.

A connection tells its pool of its life:

    connected   the socket is there; waiting attempts get it at once
    lost        the socket is gone

and each protocol's pool says what a connection can serve (`capacity`, `active`, `_serve_with`, `_retire`).
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from meshproxy.http.failures import CONNECT_FAILED, CONNECT_TIMEOUT, LOCAL_CONNECT_FAILED, OVERFLOW, Failure
from meshproxy.net.connection import socket_address
from meshproxy.net.dial import DialError, SocketOptions, dial
from meshproxy.net.randomness import source
from meshproxy.net.tasks import start_task
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.net.transport_options import NO_OPTIONS
from meshproxy.upstream.pool_settings import PoolSettings
from meshproxy.upstream.sides import UpstreamStream, Waiting

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster
    from meshproxy.upstream.endpoint import Endpoint

_random = source("connection durations").random
# How many connections one request may bring about.
_MOST_DIALS = 3


class PooledConnection(Protocol):
    """What a pool asks of its connections, and notes on them."""

    transport: Any
    # Exchanges that it has served or serves.
    requests: int
    closing: bool
    # The task that connects, until it has; when it began and ended, and when the connection was last in use.
    dial: Any
    dialled_at: float
    connected_at: float
    last_used: float
    # This side's address.
    local: tuple[str, int]
    # What is known of its TLS (a TlsFacts), if it has any.
    tls: Any

    def close(self) -> None: ...


class Pool:
    """The connections of one worker to one endpoint, for one routing priority. Subclasses know the protocol.

    source: the key among the endpoint's source_pools, of a pool that is there.
    """

    __slots__ = (
        "_durations", "_idles", "_loop", "clients", "cluster", "connections", "dialling", "draining", "endpoint",
        "limits", "options", "priority", "requests", "settings", "socket_options", "source", "stats", "waiting",
    )  # fmt: skip

    # Offered by TLS where the configuration does not say it.
    alpn: ClassVar[tuple[str, ...]] = ("http/1.1",)

    def __init__(
        self, cluster: "Cluster", endpoint: "Endpoint", priority: int, socket_options: SocketOptions,
        source: Any = None,
    ) -> None:  # fmt: skip
        self.cluster = cluster
        self.endpoint = endpoint
        self.priority = priority
        self.limits = cluster.limits[priority]
        self.requests = self.limits.requests
        self.stats = cluster.stats
        self.settings: PoolSettings = cluster.pool_settings
        self.socket_options = socket_options
        self.source = source
        # What TLS says and expects on these connections, where that is not the same for all.
        self.options = NO_OPTIONS
        # Connections that may serve again.
        self.clients: set[Any] = set()
        # Those on their way, and since when.
        self.dialling: dict[asyncio.Task[Any], float] = {}
        # All of them: idle, busy, draining, and on their way.
        self.connections = 0
        self.waiting: deque[Waiting] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.draining = False
        # Each connection is in these for as long as it lives; being used only moves its time.
        self._idles: TimeoutQueue[Any] | None = None
        self._durations: TimeoutQueue[Any] | None = None

    # ---- what each protocol says ----

    def take(self, attempt: Waiting) -> UpstreamStream | None:
        raise NotImplementedError

    def capacity(self) -> int:
        """Exchanges that connections could take which are there, or on their way."""
        raise NotImplementedError

    def active(self) -> int:
        """Exchanges that are on."""
        raise NotImplementedError

    def is_idle(self, client: Any) -> bool:
        """Whether it serves nobody."""
        raise NotImplementedError

    def _make_client(self) -> Any:
        """A connection, for a socket that is about to be there."""
        raise NotImplementedError

    def _count_dial(self) -> None:
        """The counter of the protocol."""
        raise NotImplementedError

    def _serve_with(self, client: Any) -> None:
        """The connection is there: attempts that wait get it, or it waits for attempts."""
        raise NotImplementedError

    def _retire(self, client: Any) -> None:
        """It takes no more exchanges, and ends with those that it has."""
        raise NotImplementedError

    def _drop(self, client: Any) -> None:
        """It is gone, and is found nowhere from now on."""
        raise NotImplementedError

    # ---- for attempts ----

    def ask(self, attempt: Waiting) -> None:
        """The attempt waits for its turn, if it may."""
        if not self.limits.pending.take():
            self.stats.upstream_rq_pending_overflow += 1
            self._leave_if_empty()
            attempt.on_reset(OVERFLOW, "")
            return
        self._wait(attempt)
        self._connect()

    def take_fresh(self, attempt: Waiting) -> bool:
        """As `take`, with a connection of its own for it; False where limits forbid."""
        pending = self.limits.pending
        if not pending.take():
            return False
        if not self._take_connection():
            pending.give()
            return False
        self._wait(attempt)
        self._dial_one()
        return True

    def forget(self, attempt: Waiting) -> None:
        """The attempt waits no longer. The connection that is made for it goes to the idle ones."""
        if attempt in self.waiting:
            self.waiting.remove(attempt)
            self._left_queue()
            self.stats.upstream_rq_cancelled += 1

    def begin(self) -> bool:
        """A request starts; False where the cluster has as many as it may have."""
        stats, endpoint_stats = self.stats, self.endpoint.stats
        if not self.requests.take():
            stats.upstream_rq_active_overflow += 1
            return False
        stats.upstream_rq_total += 1
        endpoint_stats.rq_total += 1
        endpoint_stats.rq_active += 1
        return True

    def end(self) -> None:
        """A request that has begun is over."""
        self.requests.give()
        self.endpoint.stats.rq_active -= 1

    def release(self, client: Any) -> None:
        """A stream that was taken is not used after all, or is over and its connection free."""
        raise NotImplementedError

    # ---- for connections ----

    def connected(self, client: PooledConnection) -> None:
        loop = self._loop = asyncio.get_running_loop()
        now = loop.time()
        client.last_used = client.connected_at = now
        client.local = socket_address(client.transport.get_extra_info("sockname"))
        client.tls = client.transport.get_extra_info("tls")
        self.stats.upstream_cx_connect_ms.record(round((now - client.dialled_at) * 1000))
        self.dialling.pop(client.dial, None)
        client.dial = None
        self.clients.add(client)
        self._watch(loop, client)
        self._serve_with(client)

    def lost(self, client: PooledConnection, busy: bool, local: bool) -> None:
        """busy: in the middle of an exchange. local: this side closed it."""
        self._drop(client)
        self.clients.discard(client)
        for queue in (self._idles, self._durations):
            if queue is not None:
                queue.discard(client)
        stats = self.stats
        stats.upstream_rq_per_cx.record(client.requests)
        if busy:
            stats.upstream_cx_destroy_with_active_rq += 1
            if local:
                stats.upstream_cx_destroy_local_with_active_rq += 1
            else:
                stats.upstream_cx_destroy_remote_with_active_rq += 1
        self._gone(client.dialled_at, local)

    # ---- for the endpoint ----

    def drain(self) -> None:
        """Serves what it has, and takes nothing new."""
        self.draining = True
        for client in list(self.clients):
            if self.is_idle(client):
                client.close()

    def retire(self) -> None:
        """What comes from now on gets new connections; the ones that are there end with the exchanges they have."""
        for client in list(self.clients):
            self._retire(client)

    def close(self) -> None:
        """Ends everything at once."""
        self.draining = True
        for task in list(self.dialling):
            task.cancel()
        for client in list(self.clients):
            client.close()

    # ---- inside ----

    def _connect(self) -> None:
        """Dials until attempts (and the preconnect ratio) have what they need."""
        for _ in range(_MOST_DIALS):
            active = self.active()
            wanted = (len(self.waiting) + active) * self.settings.preconnect_ratio - active
            if wanted <= self.capacity() or not self._take_connection():
                return
            self._dial_one()

    def _take_connection(self) -> bool:
        """Whether there may be one more, which counts from now on."""
        connections, of_endpoint = self.limits.connections, self.endpoint.connections
        limits = self.cluster.host_limits
        if limits is None or limits.take(self.endpoint, self.priority):
            if connections.take():
                return True
            if of_endpoint is not None:
                of_endpoint.give()
        self.stats.upstream_cx_overflow += 1
        if self.clients or self.dialling:
            return False
        # Whoever waits on an endpoint without any connection would wait for ever.
        connections.add()
        if of_endpoint is not None:
            of_endpoint.add()
        return True

    def _dial_one(self) -> None:
        self.connections += 1
        stats, endpoint_stats = self.stats, self.endpoint.stats
        stats.upstream_cx_total += 1
        self._count_dial()
        stats.upstream_cx_active += 1
        endpoint_stats.cx_total += 1
        endpoint_stats.cx_active += 1
        task = start_task(self._dial(), "dial")
        task.add_done_callback(self._dial_ended)
        self.dialling[task] = asyncio.get_running_loop().time()

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        task: Any = asyncio.current_task()
        started = self.dialling[task]

        def make_client() -> Any:
            client = self._make_client()
            client.dial = task
            client.dialled_at = started
            return client

        timeout = self.settings.connect_timeout
        try:
            secured = self.cluster.secured(self.endpoint, self.options, self.alpn)
            await dial(loop, make_client, self.endpoint.address, timeout, self.socket_options, secured)
        except DialError as error:
            del self.dialling[task]
            self._dial_failed(error, started)

    def _dial_ended(self, task: "asyncio.Task[Any]") -> None:
        """One that is still noted was cancelled: the pool was closed."""
        started = self.dialling.pop(task, None)
        if started is not None:
            self._fail_waiting(LOCAL_CONNECT_FAILED, "", started, local=True)

    def _dial_failed(self, error: DialError, started: float) -> None:
        stats = self.stats
        stats.upstream_cx_connect_fail += 1
        self.endpoint.stats.cx_connect_fail += 1
        if error.timeout:
            stats.upstream_cx_connect_timeout += 1
        if error.bind:
            stats.bind_errors += 1
        failure = CONNECT_TIMEOUT if error.timeout else LOCAL_CONNECT_FAILED if error.local else CONNECT_FAILED
        self._fail_waiting(failure, error.reason, started, error.local)

    def _fail_waiting(self, failure: Failure, reason: str, started: float, local: bool) -> None:
        """As in Envoy, everything that waits fails when one connection cannot be made."""
        waiting, self.waiting = self.waiting, deque()
        for _ in waiting:
            self._left_queue()
            self.stats.upstream_rq_pending_failure_eject += 1
        self._gone(started, local)
        for attempt in waiting:
            attempt.on_reset(failure, reason)

    def _gone(self, started: float, local: bool) -> None:
        """A connection, or the dial for one, is over."""
        stats = self.stats
        self.limits.connections.give()
        if self.endpoint.connections is not None:
            self.endpoint.connections.give()
        self.endpoint.stats.cx_active -= 1
        stats.upstream_cx_active -= 1
        stats.upstream_cx_destroy += 1
        if local:
            stats.upstream_cx_destroy_local += 1
        else:
            stats.upstream_cx_destroy_remote += 1
        stats.upstream_cx_length_ms.record(round((asyncio.get_running_loop().time() - started) * 1000))
        self.connections -= 1
        if self.waiting:
            self._connect()
        else:
            self._leave_if_empty()

    def _leave_if_empty(self) -> None:
        """A pool without connections is none."""
        if not self.connections and self.endpoint.forget(self):
            self.limits.pools.give()

    def _wait(self, attempt: Waiting) -> None:
        self.stats.upstream_rq_pending_total += 1
        self.stats.upstream_rq_pending_active += 1
        self.endpoint.stats.rq_pending_active += 1
        self.waiting.append(attempt)

    def _left_queue(self) -> None:
        self.limits.pending.give()
        self.stats.upstream_rq_pending_active -= 1
        self.endpoint.stats.rq_pending_active -= 1

    def _watch(self, loop: asyncio.AbstractEventLoop, client: Any) -> None:
        settings = self.settings
        if settings.idle_timeout:
            if self._idles is None:
                self._idles = TimeoutQueue(loop, settings.idle_timeout, self._idle_expired)
            self._idles.add(client)
        if settings.max_duration:
            if self._durations is None:
                self._durations = TimeoutQueue(loop, settings.max_duration, self._duration_expired)
            if settings.max_duration_jitter:
                more = _random() * settings.max_duration_jitter / 100
                self._durations.add_for(client, settings.max_duration * (1 + more))
            else:
                self._durations.add(client)

    def _idle_expired(self, client: PooledConnection) -> float:
        idle_timeout = self.settings.idle_timeout
        if not self.is_idle(client):
            return idle_timeout
        left = client.last_used + idle_timeout - asyncio.get_running_loop().time()
        if left > 0.001:
            return left
        self.stats.upstream_cx_idle_timeout += 1
        client.close()
        return 0

    def _duration_expired(self, client: PooledConnection) -> float:
        self.stats.upstream_cx_max_duration_reached += 1
        self._retire(client)
        return 0
