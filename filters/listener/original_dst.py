"""Where a redirected connection was meant to go (envoy.extensions.filters.listener.original_dst.v3.OriginalDst)."""

import socket
import struct
from typing import Any

from meshproxy.api import Connection, ListenerFilter, Look

# Linux: include/uapi/linux/netfilter_ipv4.h and netfilter_ipv6/ip6_tables.h have the same number.
_SO_ORIGINAL_DST = 80
_SOCKADDR_IN = struct.Struct("!2xH4s")
_SOCKADDR_IN6 = struct.Struct("!2xH4x16s")
_IP_TRANSPARENT = 19
_IPV6_TRANSPARENT = 75


class OriginalDst(ListenerFilter):
    @classmethod
    def build(cls, config: Any, ctx: Any) -> "OriginalDst":
        return cls()

    def on_accept(self, connection: Connection, sock: socket.socket) -> Look:
        # Of a socket for both families, too, IPv4 clients are asked for as such; a unix socket has no ports.
        v6 = ":" in connection.direct_local[0]
        if connection.direct_local[1]:
            destination = _v6_destination(sock) if v6 else _v4_destination(sock)
            if destination is not None:
                connection.restore(destination)
            elif _is_transparent(sock, v6):
                # TPROXY changes no address: the socket's own is where the client meant to go.
                connection.restored = True
        return 0


def _v4_destination(sock: socket.socket) -> tuple[str, int] | None:
    """What the kernel's connection tracking knows of the time before iptables; None where it does not track."""
    try:
        port, host = _SOCKADDR_IN.unpack_from(sock.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16))
    except OSError:
        return None
    return socket.inet_ntoa(host), port


def _v6_destination(sock: socket.socket) -> tuple[str, int] | None:
    try:
        port, host = _SOCKADDR_IN6.unpack_from(sock.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28))
    except OSError:
        return None
    return socket.inet_ntop(socket.AF_INET6, host), port


def _is_transparent(sock: socket.socket, v6: bool) -> bool:
    if v6:
        return bool(sock.getsockopt(socket.IPPROTO_IPV6, _IPV6_TRANSPARENT))
    return bool(sock.getsockopt(socket.IPPROTO_IP, _IP_TRANSPARENT))
