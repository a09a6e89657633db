"""Health checks by TCP connections (HealthCheck.TcpHealthCheck)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshproxy.net.connection import socket_address
from meshproxy.net.dial import DialError, dial
from meshproxy.net.proxy_protocol import proxy_header
from meshproxy.net.tasks import start_task
from meshproxy.upstream.health.connections import CheckConnections
from meshproxy.upstream.health.payload import contains
from meshproxy.upstream.health.session import NETWORK, Session

# Nobody's connection but the proxy's own.
_LOCAL_V2 = proxy_header(2, ("", 0), ("", 0))


@dataclass(slots=True)
class TcpCheck:
    """send: what is sent first; receive: what has to come, in this order; nothing: to connect is enough.

    proxy_protocol: the version of the PROXY header that goes first, 0 for none.
    """

    send: bytes = b""
    receive: Sequence[bytes] = ()
    proxy_protocol: int = 0
    reuse: bool = True


class TcpProbe:
    """One check after the other; a connection that lives serves the next one."""

    def __init__(self, session: Session, connections: CheckConnections, check: TcpCheck) -> None:
        self._session = session
        self._connections = connections
        self._check = check
        self._connection: _Connection | None = None
        self._dial: asyncio.Task[Any] | None = None

    def begin(self) -> None:
        if self._connection is not None:
            self._connection.ask(self._check)
        else:
            self._dial = start_task(self._connect(), f"health check of {self._session.endpoint.address_text}")

    def timed_out(self) -> None:
        self.close()

    def close(self) -> None:
        dial, self._dial = self._dial, None
        if dial is not None:
            dial.cancel()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        double, options = self._connections.double(self._session.endpoint), self._connections.cluster.socket_options
        try:
            secured = self._connections.secured(double)
            connection = await dial(loop, lambda: _Connection(self), double.address, 0, options, secured)
        except DialError:
            self._dial = None
            self._session.failed(NETWORK)
            return
        self._dial = None
        if not connection.open:
            return
        self._connection = connection
        if self._check.receive:
            connection.ask(self._check)
        else:
            self.close()
            self._session.succeeded()

    def received(self, data: bytes) -> bool:
        """Whether that was the answer."""
        if not contains(data, self._check.receive):
            return False
        if not self._check.reuse:
            self.close()
        self._session.succeeded()
        return True

    def lost(self) -> None:
        """The endpoint has ended the connection, in a check or between two."""
        self._connection = None
        self._session.failed(NETWORK)


class _Connection(asyncio.Protocol):
    def __init__(self, probe: TcpProbe) -> None:
        self._probe = probe
        self._transport: Any = None
        self._received = b""
        self.open = False
        self._aborted = False

    def ask(self, check: TcpCheck) -> None:
        header = b""
        if check.proxy_protocol == 1:
            ends = [socket_address(self._transport.get_extra_info(name)) for name in ("sockname", "peername")]
            header = proxy_header(1, *ends)
        elif check.proxy_protocol == 2:
            header = _LOCAL_V2
        if header or check.send:
            self._transport.write(header + check.send)

    def abort(self) -> None:
        self._aborted = True
        self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.open = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._probe.received(self._received):
            self._received = b""

    def connection_lost(self, error: Exception | None) -> None:
        self.open = False
        if not self._aborted:
            self._probe.lost()
