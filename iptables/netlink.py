"""What is needed of rtnetlink(7), so that the image needs no ``ip`` program."""

import errno
import os
import socket
import struct
from collections.abc import Iterator

NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE = 24, 25
NEWRULE, DELRULE, GETRULE = 32, 33, 34
NLMSG_ERROR, NLMSG_DONE = 2, 3
REQUEST, ACK, DUMP, NEW = 0x1, 0x4, 0x300, 0x600
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_OIF, RTA_TABLE = 4, 15
FRA_FWMARK, FRA_TABLE = 10, 15
# Of a route and of a rule: to this host, within this host, by hand, look up in a table.
LOCAL, HOST, BOOT, TO_TABLE = 2, 254, 3, 1


def local_addresses() -> list[bytes]:
    """Addresses of all interfaces, 4 or 16 bytes each, IPv4 first, as the kernel lists them."""
    found = []
    for body in _ask(GETADDR, REQUEST | DUMP, struct.pack("BBBBI", socket.AF_UNSPEC, 0, 0, 0, 0)):
        attributes = dict(_attributes(body[8:]))
        # On a point-to-point link the address is the peer's, and the local one is ours.
        address = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
        if address:
            found.append(address)
    return found


def add_loopback_address(address: bytes) -> bool:
    """Puts an IPv6 address on lo. False if it is there already."""
    return _order(NEWADDR, NEW, *_loopback_address(address))


def remove_loopback_address(address: bytes) -> bool:
    return _order(DELADDR, 0, *_loopback_address(address))


def _loopback_address(address: bytes) -> tuple[bytes, bytes]:
    head = struct.pack("BBBBI", socket.AF_INET6, 128, 0, 0, socket.if_nametoindex("lo"))
    return head, _attribute(IFA_LOCAL, address) + _attribute(IFA_ADDRESS, address)


def add_mark_rule(family: int, mark: int, table: int) -> bool:
    """``ip rule add fwmark MARK lookup TABLE``. False if it is there already: the kernel would take it twice."""
    if _has_mark_rule(family, mark, table):
        return False
    return _order(NEWRULE, NEW, *_mark_rule(family, mark, table))


def remove_mark_rule(family: int, mark: int, table: int) -> bool:
    """However often it is there."""
    removed = False
    while _has_mark_rule(family, mark, table) and _order(DELRULE, 0, *_mark_rule(family, mark, table)):
        removed = True
    return removed


def _has_mark_rule(family: int, mark: int, table: int) -> bool:
    head = struct.pack("BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)
    wanted = {FRA_FWMARK: struct.pack("I", mark), FRA_TABLE: struct.pack("I", table)}
    return any(
        body[0] == family and wanted.items() <= dict(_attributes(body[12:])).items()
        for body in _ask(GETRULE, REQUEST | DUMP, head)
    )


def _mark_rule(family: int, mark: int, table: int) -> tuple[bytes, bytes]:
    head = struct.pack("BBBBBBBBI", family, 0, 0, 0, table if table < 256 else 0, 0, 0, TO_TABLE, 0)
    return head, _attribute(FRA_FWMARK, struct.pack("I", mark)) + _attribute(FRA_TABLE, struct.pack("I", table))


def add_local_route(family: int, table: int) -> bool:
    """``ip route add local default dev lo table TABLE``. False if it is there already."""
    return _order(NEWROUTE, NEW, *_local_route(family, table))


def remove_local_route(family: int, table: int) -> bool:
    return _order(DELROUTE, 0, *_local_route(family, table))


def _local_route(family: int, table: int) -> tuple[bytes, bytes]:
    head = struct.pack("BBBBBBBBI", family, 0, 0, 0, table if table < 256 else 0, BOOT, HOST, LOCAL, 0)
    out = struct.pack("I", socket.if_nametoindex("lo"))
    return head, _attribute(RTA_OIF, out) + _attribute(RTA_TABLE, struct.pack("I", table))


def _order(kind: int, flags: int, head: bytes, attributes: bytes) -> bool:
    """Whether something changed: an order to make what is there, or to remove what is not, changes nothing."""
    try:
        for _ in _ask(kind, REQUEST | ACK | flags, head + attributes):
            pass
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL):
            return False
        raise
    return True


def _ask(kind: int, flags: int, payload: bytes) -> Iterator[bytes]:
    """Bodies of the answers. Raises the OSError that the kernel answers with."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.bind((0, 0))
        kernel.send(struct.pack("IHHII", 16 + len(payload), kind, flags, 1, 0) + payload)
        while True:
            answer = kernel.recv(1 << 18)
            while answer:
                length, kind = struct.unpack_from("IH", answer)
                body, answer = answer[16:length], answer[(length + 3) & ~3 :]
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    (number,) = struct.unpack_from("i", body)
                    if number:
                        raise OSError(-number, os.strerror(-number))
                    return
                yield body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        yield kind, data[4:length]
        data = data[(length + 3) & ~3 :]
