"""The address by which this machine is known to others (what Envoy calls the local address of its LocalInfo)."""

import fcntl
import socket
import struct
from functools import cache
from pathlib import Path

_SIOCGIFADDR = 0x8915
_SIOCGIFFLAGS = 0x8913
_LOOPBACK = 0x8
_V6_ADDRESSES = Path("/proc/net/if_inet6")


@cache
def local_address(version: int = 4) -> str:
    """The first address of this machine that is not loopback; the loopback address where there is no other."""
    return (_local_v6() or "::1") if version == 6 else (_local_v4() or "127.0.0.1")


def _local_v4() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                flags = struct.unpack_from("H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)[0]
                found = fcntl.ioctl(probe, _SIOCGIFADDR, request)
            except OSError:
                # This interface has no IPv4 address.
                continue
            if not flags & _LOOPBACK:
                return socket.inet_ntoa(found[20:24])
    return None


def _local_v6() -> str | None:
    """Lines of /proc/net/if_inet6: address, index, prefix length, scope (10: host, 20: link), flags, interface."""
    if not _V6_ADDRESSES.exists():
        return None
    for line in _V6_ADDRESSES.read_text().splitlines():
        address, _, _, scope, *_ = line.split()
        if scope not in ("10", "20"):
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address))
    return None
