"""Upstreams see the client's address as theirs (envoy.extensions.filters.listener.original_src.v3.OriginalSrc).

Such connections need CAP_NET_ADMIN, and a route for the answers, which come back to an address that this machine has
not: the rules of TPROXY mode bring both.
"""

import socket
from typing import Any

from meshproxy.api import Connection, ListenerFilter, Look, SocketOptions


class OriginalSrc(ListenerFilter):
    """mark: the firewall's mark of what is sent, 0 for none."""

    def __init__(self, mark: int) -> None:
        self._mark = mark

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "OriginalSrc":
        config.ignore("bind_port", why="as in Envoy, the port is a new one: the client's own is taken")
        return cls(config.mark)

    def on_accept(self, connection: Connection, sock: socket.socket) -> Look:
        host, port = connection.peer
        if port:
            connection.upstream_source = SocketOptions([(host, 0)], transparent=True, mark=self._mark)
        return 0
