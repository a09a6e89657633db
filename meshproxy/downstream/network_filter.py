"""The contract of a network filter: what may look at a connection before, and while, its bytes are served.

The grammar is that of HTTP filters. One object per configured filter serves every connection; what belongs to one
connection lives on the Connection. A hook that a class does not override is in no table and costs nothing: without
data hooks the bytes of a TCP proxy never enter this process.

The chain ends with one terminal filter, which serves the connection: the HTTP manager, the TCP proxy, echo.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from meshproxy.downstream.drain import DrainClose
from meshproxy.net.connection import Connection


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection now. reset: by RST, so that what was written may be lost; otherwise by FIN.

    reason: what %DOWNSTREAM_LOCAL_CLOSE_REASON% prints.
    """

    reset: bool = False
    reason: str = ""


Verdict = None | Close | Awaitable[None | Close]


class NetworkFilter:
    """One configured filter. `name` is set by the builder of the chain to the filter's name in the configuration."""

    name: str = ""

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "NetworkFilter | None":
        """Once, when config arrives. `config` is a View on the typed config; None where it would have nothing to do."""
        raise TypeError(f"{cls.__name__} has no build()")

    def on_connection(self, connection: Connection) -> Verdict:
        """Before a byte is read. None: go on. An awaitable (`async def`): the connection waits, others go on."""

    def on_data(self, connection: Connection, data: bytes, end: bool) -> bytes | Close | None:
        """Bytes from the client; None passes them on. end: the client has closed its half."""

    def on_write(self, connection: Connection, data: bytes) -> bytes | Close | None:
        """Bytes for the client; None passes them on."""

    def on_done(self, connection: Connection) -> None:
        """A connection that this filter let pass is closed."""


class TerminalFilter(NetworkFilter):
    """The last filter of a chain. It closes its transport when it is done, and says `connection.ended()`."""

    # It would rather have the socket than a transport, where nothing else wants to see the bytes.
    takes_socket: ClassVar[bool] = False

    def make_protocol(self, connection: Connection) -> asyncio.Protocol:
        """What serves this connection from its `connection_made` on."""
        raise NotImplementedError

    def refused(self, connection: Connection) -> None:
        """A filter before this one did not let the connection pass, which counts all the same. Says `ended_early`."""
        connection.ended_early()

    def serve(self, sock: socket.socket, connection: Connection) -> None:
        """The same for a non-blocking socket that nobody has read from (`takes_socket`)."""
        raise NotImplementedError

    def drain(self, decide: DrainClose | None) -> None:
        """Connections are asked to end where the protocol has a way to say so, and `decide` does; None: no longer."""

    def requests(self) -> int:
        """How many are in flight, where the protocol knows requests."""
        return 0

    def end_connections(self) -> None:
        """The process ends: connections that are open are closed at once, counted and logged."""


Hook = Callable[..., Any]


def hooks(filters: list[NetworkFilter], name: str) -> tuple[Hook, ...]:
    """The bound hooks of this name, of the filters that have one."""
    base = getattr(NetworkFilter, name)
    return tuple(getattr(each, name) for each in filters if getattr(type(each), name) is not base)
