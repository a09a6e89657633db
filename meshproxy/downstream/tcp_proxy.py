"""The TCP proxy: from a connection to a cluster (envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy)."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from meshproxy.downstream.network_filter import TerminalFilter
from meshproxy.downstream.relay import RelayProtocol
from meshproxy.downstream.tcp_session import SocketClient, TcpSession
from meshproxy.downstream.tcp_stats import TcpStats
from meshproxy.net.connection import Connection
from meshproxy.net.randomness import source
from meshproxy.net.splice import Pipes
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.upstream.cluster import Clusters

# A filter before the proxy may choose the cluster by this key of the connection's filter state (sni_cluster).
TCP_CLUSTER = "envoy.tcp_proxy.cluster"

_chance = source("connections")


class TcpProxy(TerminalFilter):
    """Shared by every connection of a filter chain. Times in seconds, 0 for no limit."""

    takes_socket = True

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clusters: Clusters, pipes: Pipes, buffer_limit: int
    ) -> None:
        self.loop = loop
        self.clusters = clusters
        self.stats = TcpStats()
        self.pipes = pipes
        self.buffer_limit = buffer_limit
        # (cluster, weight, what its endpoints must have as metadata); one entry where there is nothing to choose.
        self.targets: list[tuple[str, int, dict[str, Any]]] = []
        # From a session to its hash, for balancers that pick by it.
        self.hash_policy: Callable[[TcpSession], int | None] | None = None
        self.max_connect_attempts = 1
        # Seconds before the second attempt, doubled for each further one, and the most; (0, 0): at once.
        self.backoff = (0.0, 0.0)
        self.max_duration = 0.0
        # Percent of max_duration by which it may be longer, so that not all connections end at once.
        self.max_duration_jitter = 0.0
        self.log: Callable[[Any], None] | None = None
        # Told of sessions that end with a flag.
        self.failed: Callable[[TcpSession], None] | None = None
        self.log_on_start = False
        self.log_on_connect = False
        self.sessions: set[TcpSession] = set()
        self.durations: TimeoutQueue[TcpSession] = TimeoutQueue(loop, 0.0, TcpSession.expire_duration)
        self.idle: TimeoutQueue[TcpSession] | None = None
        self.log_intervals: TimeoutQueue[TcpSession] | None = None

    def set_idle_timeout(self, seconds: float) -> None:
        self.idle = TimeoutQueue(self.loop, seconds, TcpSession.expire_idle) if seconds else None

    def set_log_interval(self, seconds: float) -> None:
        self.log_intervals = TimeoutQueue(self.loop, seconds, TcpSession.log_again) if seconds else None

    def make_protocol(self, connection: Connection) -> asyncio.Protocol:
        session = TcpSession(self, connection)
        session.client = protocol = RelayProtocol(session)
        return protocol

    def refused(self, connection: Connection) -> None:
        self.stats.downstream_cx_total += 1
        connection.record = session = TcpSession(self, connection)
        connection.ended_early()
        session.log_end()

    def serve(self, sock: socket.socket, connection: Connection) -> None:
        session = TcpSession(self, connection)
        session.client = SocketClient(session, sock)
        session.start()

    def end_connections(self) -> None:
        for session in list(self.sessions):
            session.end(False)

    def choose(self, connection: Connection) -> tuple[str, dict[str, Any]]:
        """The cluster's name, and the metadata that its endpoints must have."""
        state = connection.filter_state
        if state is not None and TCP_CLUSTER in state:
            return str(state[TCP_CLUSTER]), {}
        targets = self.targets
        if len(targets) == 1:
            return targets[0][0], targets[0][2]
        at = _chance.randrange(sum(weight for _, weight, _ in targets))
        for name, weight, metadata in targets:
            at -= weight
            if at < 0:
                return name, metadata
        raise AssertionError("weights do not add up")

    def pause(self, attempts: int) -> float:
        """How long to wait after so many failed attempts, as Envoy's jittered exponential back-off has it."""
        base, most = self.backoff
        return _chance.random() * min(base * 2.0 ** (attempts - 1), most)

    def duration(self) -> float:
        """How long one connection may last."""
        return self.max_duration * (1 + _chance.random() * self.max_duration_jitter / 100)
