"""The contract of a listener filter: it looks at the first bytes of a connection before a filter chain is chosen.

The bytes are peeked at: they stay in the socket for whoever serves the connection, except those that a filter says it
consumed (the header of the PROXY protocol).
"""

import socket
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from meshproxy.net.connection import Connection


class Undecided(Enum):
    MORE = "more bytes are needed"
    CLOSE = "the connection must not be served"


MORE: Final = Undecided.MORE
CLOSE: Final = Undecided.CLOSE

# How many bytes at the front the filter has consumed (0 for a mere look), or why it has no answer.
Look = int | Undecided


class ListenerFilter:
    """One configured filter serves every connection of its listener; what it learns goes on the Connection.

    max_bytes: how far it may want to look. `disabled` is set by the builder (ListenerFilter.filter_disabled).
    """

    name: str = ""
    max_bytes: int = 0
    disabled: Callable[[Connection], bool] | None = None

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "ListenerFilter | None":
        """Once, when config arrives. `config` is a View on the typed config; None where it would have nothing to do."""
        raise TypeError(f"{cls.__name__} has no build()")

    def on_accept(self, connection: Connection, sock: socket.socket) -> Look:
        """Before there are bytes. MORE: it wants to see them."""
        return MORE

    def on_data(self, connection: Connection, data: bytes) -> Look:
        """data: all bytes so far, at most `max_bytes`."""
        return 0
