"""Ring hash (envoy.extensions.load_balancing_policies.ring_hash): ketama, host for host as Envoy.

An endpoint owns as many places on a ring of 64-bit numbers as its weight asks for: the hashes of "<key>_0", "<key>_1"
and so on. A request goes to the owner of the first place at or after its own hash.
"""

from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterator
from math import ceil

from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.balancers.bounded_load import BoundedLoad
from meshproxy.upstream.balancers.hash_keys import HashFunction, hash_key, xx_hash
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.hash_balancer import HashTable, Weighted

# An owner's number beside its hash in one integer, so that they are sorted together.
_OWNER_BITS = 32
_OWNER_MASK = (1 << _OWNER_BITS) - 1
# How many places may come and go one by one: beyond that, sorting anew costs less.
_FEW = 16
# Places that are hashed or unpacked between two chances for others to have a turn.
_STRIDE = 1024


class RingStats(StatGroup):
    """`cluster.<name>.ring_hash_lb.*`."""

    GAUGES = ("max_hashes_per_host", "min_hashes_per_host", "size")
    SAME = frozenset(GAUGES)
    __slots__ = GAUGES


class Ring:
    """The places in order, and the number of each one's owner beside it."""

    __slots__ = ("_owner_of", "counts", "hashes", "keys", "numbers", "owners", "places")

    def __init__(self) -> None:
        self.places = array("Q")
        self.owners = array("I")
        # By number; a number that nobody has any more is None.
        self._owner_of: list[Endpoint | None] = []
        self.numbers: dict[Endpoint, int] = {}
        self.keys: list[bytes] = []
        # By number: how many places it has, and the hashes of all that it ever had.
        self.counts: list[int] = []
        self.hashes: list[array[int]] = []

    def choose(self, number: int, attempt: int) -> Endpoint | None:
        places = self.places
        size = len(places)
        if not size:
            return None
        at = bisect_left(places, number)
        if attempt:
            at = (0 if at == size else at) + attempt
        if at >= size:
            at %= size
        return self._owner_of[self.owners[at]]

    def copy(self) -> "Ring":
        """One to change while this one serves. Where most numbers are nobody's any more they are given out anew."""
        ring = Ring()
        if len(self._owner_of) > 2 * len(self.numbers) + _STRIDE:
            for endpoint, number in self.numbers.items():
                ring.hashes[ring.number_of(endpoint, self.keys[number])] = self.hashes[number]
            return ring
        ring.places, ring.owners = self.places[:], self.owners[:]
        ring._owner_of, ring.numbers, ring.keys = self._owner_of[:], self.numbers.copy(), self.keys[:]
        # The hashes of an owner are never changed, only added to: both rings may share them.
        ring.counts, ring.hashes = self.counts[:], self.hashes[:]
        return ring

    def number_of(self, endpoint: Endpoint, key: bytes) -> int:
        """The endpoint's number; a new one where it is new, or is called otherwise now."""
        number = self.numbers.get(endpoint)
        if number is not None:
            if self.keys[number] == key:
                return number
            self.set_count(number, 0)
            self._owner_of[number] = None
        number = self.numbers[endpoint] = len(self._owner_of)
        self._owner_of.append(endpoint)
        self.keys.append(key)
        self.counts.append(0)
        self.hashes.append(array("Q"))
        return number

    def drop(self, endpoint: Endpoint, clean: bool) -> None:
        """clean: its places go too; otherwise the ring is to be sorted anew."""
        number = self.numbers.pop(endpoint)
        if clean:
            self.set_count(number, 0)
        self._owner_of[number] = None
        self.hashes[number] = array("Q")

    def set_count(self, number: int, count: int) -> None:
        """Adds or removes places one by one."""
        places, owners = self.places, self.owners
        hashes = self.hashes[number]
        for place in hashes[self.counts[number] : count]:
            at = bisect_left(places, place)
            places.insert(at, place)
            owners.insert(at, number)
        for place in hashes[count : self.counts[number]]:
            at = bisect_left(places, place)
            # Others may own the same place.
            while owners[at] != number:
                at += 1
            del places[at], owners[at]
        self.counts[number] = count

    def sort(self, counts: dict[int, int]) -> Iterator[None]:
        """Makes the ring of all places of these owners, an arc at a time."""
        arcs = (sum(counts.values()) // _STRIDE).bit_length()
        shift = 64 - arcs
        packed: list[list[int]] = [[] for _ in range(1 << arcs)]
        done = 0
        for number, count in counts.items():
            for place in self.hashes[number][:count]:
                packed[place >> shift].append(place << _OWNER_BITS | number)
            self.counts[number] = count
            done += count
            if done >= _STRIDE:
                done = 0
                yield
        self.places, self.owners = array("Q"), array("I")
        for arc in packed:
            arc.sort()
            self.places.extend([each >> _OWNER_BITS for each in arc])
            self.owners.extend([each & _OWNER_MASK for each in arc])
            yield


class RingHash:
    """Sizes in places. balance: percent of the average load that an endpoint may have (hash_balance_factor); 0 any."""

    __slots__ = ("_balance", "_by_hostname", "_function", "_maximum", "_minimum", "stats")

    def __init__(
        self, stats: RingStats, minimum: int = 1024, maximum: int = 8 * 1024 * 1024, function: HashFunction = xx_hash,
        by_hostname: bool = False, balance: int = 0,
    ) -> None:  # fmt: skip
        self.stats = stats
        self._minimum = minimum
        self._maximum = maximum
        self._function = function
        self._by_hostname = by_hostname
        self._balance = balance

    def table(self, weighted: Weighted, previous: HashTable | None) -> Generator[None, None, HashTable]:
        if isinstance(previous, BoundedLoad):
            previous = previous.table
        ring = previous.copy() if isinstance(previous, Ring) and weighted.shares else Ring()
        if weighted.shares:
            yield from self._fill(ring, weighted)
        return BoundedLoad(ring, weighted, self._balance) if self._balance else ring

    def _fill(self, ring: Ring, weighted: Weighted) -> Iterator[None]:
        # The endpoint with the least weight gets a whole number of places, unless the ring would be too large.
        scale = min(ceil(weighted.least * self._minimum) / weighted.least, float(self._maximum))
        wanted = yield from self._wanted(ring, weighted, scale)
        gone = [endpoint for endpoint, number in ring.numbers.items() if number not in wanted]
        few = len(gone) <= _FEW
        for endpoint in gone:
            ring.drop(endpoint, few)
        for number, count in wanted.items():
            while (known := len(ring.hashes[number])) < count:
                self._hash(ring, number, min(count, known + _STRIDE))
                yield
        changed = {number: count for number, count in wanted.items() if count != ring.counts[number]}
        if few and len(changed) <= _FEW and len(ring.places):
            for number, count in changed.items():
                ring.set_count(number, count)
        else:
            yield from ring.sort(wanted)
        stats = self.stats
        stats.size = ceil(scale)
        stats.min_hashes_per_host = min(wanted.values())
        stats.max_hashes_per_host = max(wanted.values())

    def _wanted(self, ring: Ring, weighted: Weighted, scale: float) -> Generator[None, None, dict[int, int]]:
        """How many places each owner is to have, by its number.

        As in Envoy they come of a running sum over all of them: where that is past a whole number, there is one more.
        """
        wanted: dict[int, int] = {}
        current, target = 0, 0.0
        for endpoint, share in weighted.shares:
            target += scale * share
            count = max(0, ceil(target) - current)
            current += count
            wanted[ring.number_of(endpoint, hash_key(endpoint, self._by_hostname))] = count
            if not len(wanted) % _STRIDE:
                yield
        return wanted

    def _hash(self, ring: Ring, number: int, count: int) -> None:
        known = ring.hashes[number]
        prefix, function = ring.keys[number] + b"_", self._function
        ring.hashes[number] = known + array("Q", [function(prefix + b"%d" % i) for i in range(len(known), count)])
