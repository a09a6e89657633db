"""A listener: addresses, how a connection is admitted, and which filter chain serves it (Envoy's Listener).

Where the first bytes do not matter and the terminal filter takes a transport, uvloop accepts. Otherwise the listener
accepts by itself, because listener filters and splice want the bare socket (see accept.py).
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from meshproxy.downstream.accept import SocketAcceptor, TransportAcceptor, admit_socket
from meshproxy.downstream.chain_match import ChainMatcher
from meshproxy.downstream.connection_balance import ExactBalance
from meshproxy.downstream.connection_record import ConnectionRecord
from meshproxy.downstream.drain import DrainClose, InFlight, always
from meshproxy.downstream.filter_chain import FilterChain, close_socket
from meshproxy.downstream.inspection import Inspection
from meshproxy.downstream.listener_filter import ListenerFilter
from meshproxy.downstream.listener_stats import ListenerStats, WorkerStats
from meshproxy.downstream.listeners import Listeners
from meshproxy.net.connection import Connection
from meshproxy.net.count import UNLIMITED, Count
from meshproxy.net.descriptors import ceiling
from meshproxy.net.sockets import ListenAddress, ListenOptions, bind, start_listening
from meshproxy.net.tasks import start_task
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.observe.stats import StatGroup


class ConnectionCountStats(StatGroup):
    """`overload.envoy.resource_monitors.global_downstream_max_connections.*`."""

    COUNTERS = ("failed_updates",)
    GAUGES = ("pressure",)

    __slots__ = (*COUNTERS, *GAUGES)


class ConnectionCount:
    """The connections of all listeners together (envoy.resource_monitors.global_downstream_max_connections).

    active: those of this process. allowed: those of the whole proxy on listeners that heed the limit.
    """

    def __init__(self) -> None:
        self.active = 0
        self.allowed = Count()
        # The limit is that of an overload manager's monitor.
        self.monitored = False
        self.stats = ConnectionCountStats()
        self.stats.failed_updates = self.stats.pressure = 0
        # The rest is for connections to upstreams, without which those from clients are of no use.
        self.descriptors = ceiling(0.8)

    def is_crowded(self) -> bool:
        """Whether so many are open, with as many upstreams and something left over, that descriptors may run out."""
        return self.active * 3 >= self.descriptors


class Listener:
    """One entry of the configuration; it may listen on several addresses, or on none (bind_to_port: false)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, addresses: list[ListenAddress]) -> None:
        self.loop = loop
        self.name = name
        self.addresses = addresses
        self.socket_options = ListenOptions()
        self.bind_to_port = True
        self.traffic_direction = ""
        self.metadata: dict[str, Any] = {}
        self.chains = ChainMatcher[FilterChain]([], None)
        self.listener_filters: tuple[ListenerFilter, ...] = ()
        # Sockets whose listener filters wait for bytes, and for how many seconds they may (None: for ever).
        self.inspections: TimeoutQueue[Inspection] | None = TimeoutQueue(loop, 15.0, Inspection.expire)
        self.continue_on_filters_timeout = False
        # At one event, so that a flood of connections does not keep others waiting.
        self.max_accepts = 64
        # What the names of its stats begin with (`listener.0.0.0.0_80`).
        self.stat_prefix = ""
        self.stats = ListenerStats()
        self.worker_stats = WorkerStats()
        # What has been accepted and is not closed; the limit is looked up at each accept, runtime may change it.
        self.accepted = Count()
        self.connection_limit: Callable[[], int] = lambda: UNLIMITED
        self.all_connections = ConnectionCount()
        self.ignores_all_connections = False
        # Whether this one is turned away because of overload; None where that never happens.
        self.refuses: Callable[[], bool] | None = None
        self.paused = False
        # Where each worker is to have as many connections as the others.
        self.balance: ExactBalance | None = None
        # Connections whose original destination is another listener's address are handed to that one.
        self.hands_over_to: Listeners | None = None
        self.log: Callable[[Any], None] | None = None
        # Told of connections that no filter chain wants.
        self.failed: Callable[[Any], None] | None = None
        self.sockets: list[socket.socket] = []
        self.open = 0
        self.drains_by_health = True
        self._health_failed = False
        self._drain_close: DrainClose | None = None
        self._acceptors: list[TransportAcceptor | SocketAcceptor] = []

    def bind(self) -> None:
        """Makes the sockets, which have their addresses and do not listen. Raises BindError; then none is left open."""
        if not self.bind_to_port or self.sockets:
            return
        try:
            for where in self.addresses:
                self.sockets.append(bind(where, self.socket_options))
        except BaseException:
            self.close()
            raise

    def listen(self) -> None:
        """Connections wait to be accepted from now on. Raises BindError."""
        for sock, where in zip(self.sockets, self.addresses, strict=False):
            start_listening(sock, where, self.socket_options)

    async def start(self) -> None:
        """Serves; binds first where nobody has. `sockets` may have been handed over, one for each address."""
        self.bind()
        self.listen()
        bare = bool(self.listener_filters) or any(chain.needs_socket for chain in self.chains)
        bare = bare or self.balance is not None
        for sock in self.sockets:
            acceptor = SocketAcceptor(self, sock) if bare else TransportAcceptor(self, sock)
            self._acceptors.append(acceptor)
            await acceptor.start()

    def take_waiting(self) -> None:
        """Accepts what waits, before `close` resets it."""
        for acceptor in self._acceptors:
            acceptor.take_waiting()

    def pause(self, paused: bool) -> None:
        """Whether connections wait to be accepted (stop_accepting_connections)."""
        self.paused = paused
        for acceptor in self._acceptors:
            if paused:
                acceptor.close()
            else:
                start_task(acceptor.start(), f"accept again on {self.name}")

    def close(self) -> None:
        """Stops accepting; connections live on."""
        for acceptor in self._acceptors:
            acceptor.close()
        for sock in self.sockets:
            sock.close()
        self._acceptors.clear()
        self.sockets.clear()

    # ---- its end ----

    def set_health_failed(self, failed: bool) -> None:
        """/healthcheck/fail drains a listener unless its drain_type is MODIFY_ONLY."""
        self._health_failed = failed and self.drains_by_health
        self._decide()

    def drain(self, decide: DrainClose) -> None:
        """Connections end when their next response may say so. There is no way back."""
        self._drain_close = decide
        self._decide()

    @property
    def draining(self) -> bool:
        return self._health_failed or self._drain_close is not None

    def in_flight(self) -> InFlight:
        waiting = self.stats.downstream_pre_cx_active
        return InFlight(self.open + waiting, sum(chain.terminal.requests() for chain in self.chains))

    def _decide(self) -> None:
        decide = always if self._health_failed else self._drain_close
        for chain in self.chains:
            chain.terminal.drain(decide)

    # ---- one connection ----

    def admit(self, descriptor: int) -> bool:
        """Whether one more connection may be open, with this file descriptor; counts it, or the refusal."""
        heeded = not self.ignores_all_connections
        if heeded:
            if descriptor >= self.all_connections.descriptors:
                self.stats.downstream_cx_overload_reject += 1
                return False
            if not self.all_connections.allowed.take():
                self.stats.downstream_global_cx_overflow += 1
                self.all_connections.stats.failed_updates += 1
                return False
        if self.refuses is not None and self.refuses():
            self.stats.downstream_cx_overload_reject += 1
            if heeded:
                self.all_connections.allowed.give()
            return False
        accepted = self.accepted
        accepted.maximum = self.connection_limit()
        if accepted.take():
            return True
        self.stats.downstream_cx_overflow += 1
        if heeded:
            self.all_connections.allowed.give()
        return False

    def adopt(self) -> None:
        """Another listener hands over what it has admitted: limits do not matter any more."""
        self.accepted.add()
        if self.balance is not None:
            self.balance.add()
        if not self.ignores_all_connections:
            self.all_connections.allowed.add()

    def dismiss(self) -> None:
        """What was admitted is closed."""
        self.accepted.give()
        if self.balance is not None:
            self.balance.release()
        if not self.ignores_all_connections:
            self.all_connections.allowed.give()

    def choose(self, connection: Connection) -> FilterChain | None:
        """The chain that serves the connection, which counts from here on; None where there is none."""
        chain = self.chains.only or self.chains.find(connection)
        if chain is None:
            self.stats.no_filter_chain_match += 1
            record = ConnectionRecord(connection, flags=("NR",), details="filter_chain_not_found")
            for told in (self.log, self.failed):
                if told is not None:
                    told(record)
            return None
        connection.chain = chain
        stats = self.stats
        stats.downstream_cx_total += 1
        stats.downstream_cx_active += 1
        worker = self.worker_stats
        worker.downstream_cx_total += 1
        worker.downstream_cx_active += 1
        self.open += 1
        self.all_connections.active += 1
        return chain

    def receive(self, sock: socket.socket) -> None:
        """Takes over a socket that another worker has accepted, and counted for this one."""
        try:
            name = sock.getpeername()
        except OSError:
            # The client is gone already.
            name = ("", 0)
        admit_socket(self, sock, name, None, sock.family == socket.AF_UNIX)

    def inspect(self, sock: socket.socket, connection: Connection, handed: bool = False) -> None:
        """Takes over an accepted socket: listener filters look at it first. handed: by another listener."""
        # What was handed over once stays, wherever its filters say that it was meant to go.
        then = self.serve if handed or self.hands_over_to is None else self.hand_over
        if self.listener_filters:
            Inspection(self, sock, connection, then).run()
        else:
            then(sock, connection)

    def hand_over(self, sock: socket.socket, connection: Connection) -> None:
        """Lets the listener of its destination have it, where there is one."""
        assert self.hands_over_to is not None
        other = self.hands_over_to.find(connection.local) if connection.restored else None
        if other is None or other is self:
            self.serve(sock, connection)
            return
        connection.listener = other
        self.dismiss()
        other.adopt()
        other.inspect(sock, connection, handed=True)

    def serve(self, sock: socket.socket, connection: Connection) -> None:
        """Serves an accepted socket that the listener filters let pass."""
        chain = self.choose(connection)
        if chain is None:
            self.dismiss()
            close_socket(sock, reset=False)
        else:
            chain.serve(sock, connection)

    def connection_ended(self, connection: Connection, admitted: bool = True) -> None:
        """admitted: all network filters of its chain have let it pass, and hear of its end."""
        chain = connection.chain
        if chain is not None and chain.on_done and admitted:
            chain.ended(connection)
        if self.log is not None:
            record = connection.record or ConnectionRecord(connection)
            record.log_type = "NotSet"
            record.last_activity = self.loop.time()
            self.log(record)
        stats = self.stats
        stats.downstream_cx_destroy += 1
        stats.downstream_cx_active -= 1
        stats.downstream_cx_length_ms.record(round((self.loop.time() - connection.started) * 1000))
        self.worker_stats.downstream_cx_active -= 1
        self.open -= 1
        self.all_connections.active -= 1
        self.dismiss()
