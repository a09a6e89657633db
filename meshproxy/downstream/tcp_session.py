"""One client connection on its way through a TCP proxy: choose, dial, relay, log."""

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any, Protocol

from meshproxy.downstream.connection_record import ConnectionRecord
from meshproxy.downstream.filter_chain import close_socket
from meshproxy.downstream.relay import RelayProtocol
from meshproxy.http.request_id import new_request_id
from meshproxy.net.connection import Connection
from meshproxy.net.dial import DialError
from meshproxy.net.splice import SpliceRelay
from meshproxy.net.tasks import start_task
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.tcp_connection import TcpConnection

if TYPE_CHECKING:
    from meshproxy.downstream.tcp_proxy import TcpProxy

# Envoy's UpstreamFailureReason, as it prints in %DOWNSTREAM_LOCAL_CLOSE_REASON%.
_CONNECT_FAILED, _NO_ENDPOINT, _NO_ROOM, _NO_ROUTE = range(4)


class Client(Protocol):
    """The client's end of the connection: a bare socket, or a transport where filters look at the bytes."""

    async def join(self, upstream: socket.socket | None) -> None:
        """Starts to relay; what happens is told to the session, which is the Watcher. None: to where it `expect`s."""

    def close(self, reset: bool) -> None:
        """Ends the client's and the upstream's connection."""


class SocketClient:
    """A client whose bytes nobody else wants to see: they are spliced."""

    __slots__ = ("_relay", "_session", "_socket")

    def __init__(self, session: "TcpSession", sock: socket.socket) -> None:
        self._session = session
        self._socket = sock
        self._relay: SpliceRelay | None = None

    async def as_relay(self) -> RelayProtocol:
        """The same client, where the bytes are to be encrypted for the upstream."""
        session = self._session
        protocol = RelayProtocol(session)
        protocol.begun = True
        loop = session.proxy.loop
        try:
            await loop.connect_accepted_socket(lambda: protocol, self._socket)
        except OSError as error:
            raise DialError(os.strerror(error.errno or 0)) from error
        return protocol

    async def join(self, upstream: socket.socket | None) -> None:
        assert upstream is not None
        session = self._session
        self._relay = SpliceRelay(session.proxy.loop, session.proxy.pipes, self._socket, upstream, session)
        self._relay.start()

    def close(self, reset: bool) -> None:
        if self._relay is None:
            close_socket(self._socket, reset)
        else:
            self._relay.close(lambda sock: close_socket(sock, reset))


class TcpSession(ConnectionRecord):
    """From the accepted connection to the log entry. It is the log's record, and the relay's watcher."""

    __slots__ = ("_dial", "_stream_id", "_upstream", "begun", "client", "metadata_match", "proxy")

    counts_wire = True

    def __init__(self, proxy: "TcpProxy", connection: Connection) -> None:
        super().__init__(connection)
        self.proxy = proxy
        self.client: Client | None = None
        # The endpoint must have this metadata (envoy.lb), for balancers that look at it.
        self.metadata_match: dict[str, Any] = {}
        self._dial: asyncio.Task[Any] | None = None
        self._upstream: TcpConnection | None = None
        self._stream_id: str | None = None
        self.begun = False
        self.upstream_close_type = "Normal"

    def lb_metadata(self) -> dict[str, Any]:
        """What endpoints must have, for balancers that have subsets; what filters ask for goes before the proxy."""
        own = self.metadata.get("envoy.lb") if self.metadata is not None else None
        return self.metadata_match if own is None else {**self.metadata_match, **own}

    def hash_key(self) -> int | None:
        """For balancers that pick by hash."""
        policy = self.proxy.hash_policy
        return None if policy is None else policy(self)

    @property
    def stream_id(self) -> str | None:
        """Made when a log first asks; a connection that the proxy never served has none."""
        if self._stream_id is None and self.begun:
            self._stream_id = new_request_id()
        return self._stream_id

    def start(self) -> None:
        proxy = self.proxy
        self.begun = True
        proxy.sessions.add(self)
        proxy.stats.downstream_cx_total += 1
        if proxy.max_duration:
            proxy.durations.add_for(self, proxy.duration())
        if proxy.log is not None and proxy.log_on_start:
            self.log_type = "TcpConnectionStart"
            proxy.log(self)
        name, self.metadata_match = proxy.choose(self.connection)
        cluster = proxy.clusters.by_name.get(name)
        if cluster is None:
            proxy.stats.downstream_cx_no_route += 1
            self.add_flag("NC")
            self._give_up(_NO_ROUTE)
            return
        self.cluster_name = name
        self.cluster = cluster
        self._dial = start_task(self._connect(cluster), "dial for a TCP connection")

    async def _connect(self, cluster: Cluster) -> None:
        """As many attempts as are allowed, then the relay."""
        while self.attempts < self.proxy.max_connect_attempts:
            upstream = self._next(cluster)
            if upstream is None:
                return
            try:
                sock = await self._open(upstream)
            except DialError as error:
                self.pool_wait = self.proxy.loop.time() - upstream.dialled_at
                self.upstream_failure = error.reason.replace(" ", "_")
                self._watch_failure(error)
                if self.proxy.backoff[0] and self.attempts < self.proxy.max_connect_attempts:
                    await asyncio.sleep(self.proxy.pause(self.attempts))
                continue
            self.upstream_failure = ""
            if self.endpoint.monitor is not None:
                self.endpoint.monitor.on_tcp_connected()
            if cluster.cuts_failed:
                self.endpoint.hold(self.cut)
            await self._join(upstream, sock)
            return
        cluster.stats.upstream_cx_connect_attempts_exceeded += 1
        self.add_flag("UF")
        self.add_flag("URX")
        self._give_up(_CONNECT_FAILED)

    def _watch_failure(self, error: DialError) -> None:
        """Outlier detection hears of what may be the endpoint's fault."""
        monitor = self.endpoint.monitor
        if monitor is None or error.bind:
            return
        if error.timeout:
            monitor.on_tcp_timeout()
        else:
            monitor.on_failure()

    async def _open(self, upstream: TcpConnection) -> socket.socket | None:
        """The socket of a plain connection; one with TLS has joined the client already."""
        if upstream.plain:
            return await upstream.open()
        if isinstance(self.client, SocketClient):
            self.client = await self.client.as_relay()
        assert isinstance(self.client, RelayProtocol)
        await upstream.connect(self.client.expect())
        return None

    def _next(self, cluster: Cluster) -> TcpConnection | None:
        """A connection to try, or None where the cluster has none to give: then this is over."""
        limits = cluster.limits[0]
        if not limits.connections.take():
            cluster.stats.upstream_cx_overflow += 1
            self.add_flag("UO")
            self.pool_wait = 0.0
            self._give_up(_NO_ROOM)
            return None
        endpoint = cluster.balancer.pick(self)
        if endpoint is None:
            limits.connections.give()
            cluster.stats.upstream_cx_none_healthy += 1
            self.add_flag("UH")
            self.pool_wait = 0.0
            self._give_up(_NO_ENDPOINT)
            return None
        self.attempts += 1
        if self.endpoint is not None:
            self.earlier_endpoints = (*self.earlier_endpoints, self.endpoint)
        self.endpoint = endpoint
        limits.pending.add()
        if endpoint.cluster is not None and endpoint.cluster is not cluster:
            # Of an aggregate cluster: the connection counts where the endpoint is.
            limits.connections.give()
            limits.pending.give()
            cluster = endpoint.cluster
            cluster.limits[0].connections.add()
            cluster.limits[0].pending.add()
        client = self.connection
        return TcpConnection(self.proxy.loop, cluster, endpoint, client.upstream_source, client)

    def _give_up(self, why: int) -> None:
        """There is no connection to an upstream, and there will be none."""
        self.connection.local_close_reason = f"tcp_initializion_failure:{why}"
        self.end(False)

    async def _join(self, upstream: TcpConnection, sock: socket.socket | None) -> None:
        proxy = self.proxy
        self._dial = None
        self._upstream = upstream
        self.upstream_connection = upstream
        self.last_activity = proxy.loop.time()
        if proxy.idle is not None:
            proxy.idle.add(self)
        if proxy.log is not None and proxy.log_on_connect:
            self.log_type = "TcpUpstreamConnected"
            proxy.log(self)
        if proxy.log_intervals is not None:
            proxy.log_intervals.add(self)
        assert self.client is not None
        await self.client.join(sock)

    # ---- from the relay ----

    def moved(self, from_client: bool, count: int) -> None:
        proxy = self.proxy
        stats, cluster_stats = proxy.stats, self.cluster.stats
        self.last_activity = proxy.loop.time()
        if from_client:
            self.bytes_received += count
            stats.downstream_cx_rx_bytes_total += count
            cluster_stats.upstream_cx_tx_bytes_total += count
        else:
            self.bytes_sent += count
            stats.downstream_cx_tx_bytes_total += count
            cluster_stats.upstream_cx_rx_bytes_total += count

    def paused(self, from_client: bool) -> None:
        if from_client:
            self.proxy.stats.downstream_flow_control_paused_reading_total += 1
        else:
            self.cluster.stats.upstream_flow_control_paused_reading_total += 1

    def resumed(self, from_client: bool) -> None:
        if from_client:
            self.proxy.stats.downstream_flow_control_resumed_reading_total += 1
        else:
            self.cluster.stats.upstream_flow_control_resumed_reading_total += 1

    def finished(self, from_client: bool) -> None:
        self.end(False, by_upstream=not from_client)

    def broken(self, by_client: bool) -> None:
        if by_client:
            self.downstream_close_type = "RemoteReset"
        else:
            self.upstream_close_type, self.downstream_close_type = "RemoteReset", "LocalReset"
            self.add_flag("UR")
        self.end(True, by_upstream=not by_client)

    # ---- the end ----

    def end(self, reset: bool, by_upstream: bool = False) -> None:
        """Closes both sides, by RST where one of them did, and writes the log entry."""
        proxy = self.proxy
        if self not in proxy.sessions:
            return
        proxy.sessions.discard(self)
        proxy.durations.discard(self)
        for queue in (proxy.idle, proxy.log_intervals):
            if queue is not None:
                queue.discard(self)
        if self._dial is not None and self._dial is not asyncio.current_task():
            self._dial.cancel()
        client, self.client = self.client, None
        assert client is not None
        client.close(reset)
        if self._upstream is not None:
            self._upstream.closed(local=not by_upstream)
            self.endpoint.let_go(self.cut)
        if self.flags and proxy.failed is not None:
            proxy.failed(self)
        self.connection.record = self
        self.connection.ended()
        self.log_end()

    def cut(self) -> None:
        """The endpoint has failed, and nobody is to stay connected to it."""
        self.end(False)

    def log_end(self) -> None:
        log = self.proxy.log
        if log is not None:
            self.log_type = "TcpConnectionEnd"
            self.last_activity = self.proxy.loop.time()
            log(self)

    def expire_idle(self) -> float:
        idle = self.proxy.idle
        assert idle is not None
        left = self.last_activity + idle.seconds - self.proxy.loop.time()
        if left > 0.001:
            return left
        self.proxy.stats.idle_timeout += 1
        self._expire("tcp_session_idle_timeout")
        return 0.0

    def expire_duration(self) -> float:
        self.proxy.stats.max_downstream_connection_duration += 1
        self.add_flag("DT")
        self._expire("max_connection_duration_reached")
        return 0.0

    def _expire(self, why: str) -> None:
        self.connection.local_close_reason = why
        if self.upstream_connection is not None:
            self.upstream_close_reason = why
        self.end(False)

    def log_again(self) -> float:
        """access_log_flush_interval: one more entry for a connection that lives."""
        proxy = self.proxy
        if proxy.log is not None:
            self.log_type = "TcpPeriodic"
            proxy.log(self)
        return proxy.log_intervals.seconds if proxy.log_intervals is not None else 0.0
