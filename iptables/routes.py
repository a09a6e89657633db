"""What the rules need besides: the address ::6 on lo, and for TPROXY the routing of marked packets to this host."""

import errno
import socket
from collections.abc import Callable

from meshproxy.iptables import netlink
from meshproxy.iptables.addresses import parse_address
from meshproxy.iptables.errors import SetupError
from meshproxy.iptables.options import Config

MAGIC_V6 = parse_address("::6")


class _Piece:
    """One setting of the kernel. Adding and removing say whether that changed something, and raise OSError."""

    __slots__ = ("add", "name", "planned", "remove")

    def __init__(self, name: str, planned: bool, add: Callable[[], bool], remove: Callable[[], bool]) -> None:
        self.name = name
        self.planned = planned
        self.add = add
        self.remove = remove


def add(config: Config) -> None:
    """What is there already stays. Raises SetupError, and then what was added is gone again."""
    added: list[_Piece] = []
    for piece in _pieces(config):
        if not piece.planned:
            continue
        try:
            if piece.add():
                added.append(piece)
        except OSError as error:
            for earlier in reversed(added):
                earlier.remove()
            raise SetupError(f"cannot add {piece.name}: {error.strerror}: {_hint(error)}") from None


def remove(config: Config, planned: bool = True) -> None:
    """Nobody else has ::6 on lo, or this mark in this table. Without ``planned``, what the flags ask for stays."""
    for piece in _pieces(config):
        if piece.planned and not planned:
            continue
        try:
            piece.remove()
        except OSError as error:
            # A kernel without IPv6 has nothing of it to remove.
            if error.errno not in (errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
                raise SetupError(f"cannot remove {piece.name}: {error.strerror}: {_hint(error)}") from None


def _pieces(config: Config) -> list[_Piece]:
    pieces = [
        _Piece(
            "the address ::6 on lo",
            config.ipv6,
            lambda: netlink.add_loopback_address(MAGIC_V6),
            lambda: netlink.remove_loopback_address(MAGIC_V6),
        )
    ]
    if config.tproxy_mark.isdigit() and config.tproxy_route_table.isdigit():
        wanted = config.tproxy and bool(config.inbound_ports)
        pieces += _marked_to_this_host(config, socket.AF_INET, wanted)
        pieces += _marked_to_this_host(config, socket.AF_INET6, wanted and config.ipv6)
    return pieces


def _marked_to_this_host(config: Config, family: int, planned: bool) -> list[_Piece]:
    mark, table = int(config.tproxy_mark), int(config.tproxy_route_table)
    return [
        _Piece(
            f"the rule for packets with mark {mark}",
            planned,
            lambda: netlink.add_mark_rule(family, mark, table),
            lambda: netlink.remove_mark_rule(family, mark, table),
        ),
        _Piece(
            f"the route to this host in table {table}",
            planned,
            lambda: netlink.add_local_route(family, table),
            lambda: netlink.remove_local_route(family, table),
        ),
    ]


def _hint(error: OSError) -> str:
    if error.errno == errno.EPERM:
        return "the container needs the capability NET_ADMIN, or to be root"
    if error.errno in (errno.ENETDOWN, errno.ENODEV):
        return "is the interface lo up?"
    if error.errno in (errno.EACCES, errno.EAFNOSUPPORT, errno.EOPNOTSUPP):
        return "is IPv6 off for lo (net.ipv6.conf.lo.disable_ipv6)?"
    return "does this kernel support it?"
