"""How many connections one endpoint may have, from all workers together (CircuitBreakers.per_host_thresholds)."""

from xxhash import xxh64_intdigest

from meshproxy.net.count import UNLIMITED, Count, Counts, SharedCount
from meshproxy.upstream.endpoint import Address, Endpoint

# Places for endpoints that are found after the workers were forked. Memory that nobody touches is none.
_SPARE = 4096


class HostLimits:
    """maximum: by routing priority, default and high; both count the same connections."""

    __slots__ = ("_first", "_numbers", "_places", "maximum")

    def __init__(self, counts: Counts) -> None:
        self.maximum = [UNLIMITED, UNLIMITED]
        self._numbers = counts.numbers
        # Of endpoints that are known before there are workers, each has a place of its own.
        self._places: dict[Address, int] = {}
        self._first = 0 if self._numbers is None else self._numbers.places(_SPARE)

    def count_of(self, endpoint: Endpoint) -> Count:
        """The endpoint's connections. Every worker finds the same place for an address.

        Of those that come late two may have to share one, once in a while: then they share what they may have, too.
        """
        numbers = self._numbers
        if numbers is None:
            return Count()
        place = self._places.get(endpoint.address)
        if place is None and not numbers.rows:
            place = self._places[endpoint.address] = numbers.place()
        if place is None:
            place = self._first + xxh64_intdigest(endpoint.address_text.encode()) % _SPARE
        return SharedCount(UNLIMITED, numbers, place)

    def take(self, endpoint: Endpoint, priority: int) -> bool:
        """One more connection; False where there may be no more."""
        count = endpoint.connections
        if count is None:
            return True
        count.maximum = self.maximum[priority]
        return count.take()
