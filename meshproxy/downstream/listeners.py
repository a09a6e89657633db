"""All listeners by address, for connections that a firewall redirected (Envoy's use_original_dst)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshproxy.downstream.listener import Listener



class Listeners:
    """Two listeners cannot have one address, whether they are bound to it or not."""

    def __init__(self) -> None:
        self._by_address: dict[tuple[str, int], Listener] = {}
        # By port, those on any IPv6 address that take IPv4, too.
        self._for_both: dict[int, Listener] = {}

    def add(self, listener: "Listener") -> None:
        """Raises ValueError where another listener has one of its addresses."""
        taken = [str(where) for where in listener.addresses if where.address in self._by_address]
        if taken:
            raise ValueError(
                f"error adding listener: '{listener.name}' has duplicate address '{taken[0]}' as existing listener"
            )
        for where in listener.addresses:
            if where.unix or where.address[1]:
                self._by_address[where.address] = listener
            if where.ipv4_compat and where.address[0] == "::":
                self._for_both[where.address[1]] = listener

    def remove(self, listener: "Listener") -> None:
        for where in listener.addresses:
            if self._by_address.get(where.address) is listener:
                del self._by_address[where.address]
            if where.ipv4_compat and self._for_both.get(where.address[1]) is listener:
                del self._for_both[where.address[1]]

    def __iter__(self) -> "Iterator[Listener]":
        """Each one once."""
        return iter(dict.fromkeys(self._by_address.values()))

    def find(self, address: tuple[str, int]) -> "Listener | None":
        """The listener for an original destination: that of the address, or that of any address and the port."""
        found = self._by_address.get(address)
        if found is not None:
            return found
        host, port = address
        if ":" in host:
            return self._by_address.get(("::", port))
        return self._by_address.get(("0.0.0.0", port)) or self._for_both.get(port)
