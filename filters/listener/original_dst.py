"""Where a redirected connection was meant to go (envoy.extensions.filters.listener.original_dst.v3.OriginalDst)."""

import socket
import struct
from typing import Any

from meshproxy.api import Connection, ListenerFilter, Look

_SO_ORIGINAL_DST = 80
_SOCKADDR_IN = struct.Struct("!2xH4s")
_SOCKADDR_IN6 = struct.Struct("!2xH4x16s")


class OriginalDst(ListenerFilter):
    @classmethod
    def build(cls, config: Any, ctx: Any) -> "OriginalDst":
        return cls()

    def on_accept(self, connection: Connection, sock: socket.socket) -> Look:
        original = original_destination(sock)
        if original is not None:
            connection.local = original
        return 0


def original_destination(sock: socket.socket) -> tuple[str, int] | None:
    """What the kernel's connection tracking knows of the time before iptables; None where nothing was redirected."""
    try:
        if sock.family == socket.AF_INET6:
            raw = sock.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
            port, host = _SOCKADDR_IN6.unpack_from(raw)
            return socket.inet_ntop(socket.AF_INET6, host), port
        if sock.family == socket.AF_INET:
            port, host = _SOCKADDR_IN.unpack_from(sock.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16))
            return socket.inet_ntoa(host), port
    except OSError:
        # Not tracked, or not redirected: the socket's own address is the destination.
        pass
    return None
