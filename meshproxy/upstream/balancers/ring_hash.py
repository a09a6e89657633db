"""Ring hash (envoy.extensions.load_balancing_policies.ring_hash): ketama, host for host as Envoy.

An endpoint owns as many places on a ring of 64-bit numbers as its weight asks for: the hashes of "<key>_0", "<key>_1"
and so on. A request goes to the owner of the first place at or after its own hash.
"""

from array import array
from bisect import bisect_left
from collections.abc import Generator
from math import ceil

from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.balancers.bounded_load import BoundedLoad
from meshproxy.upstream.balancers.hash_keys import HashFunction, name_for_hash, xx_hash
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.hash_balancer import HashTable, Weighted

# An owner's number beside its hash in one integer, so that they are sorted together.
_OWNER_BITS = 32
_OWNER_MASK = (1 << _OWNER_BITS) - 1
# Places that are hashed or sorted between two chances for others to have a turn.
_STRIDE = 1024
# A change of more than one part in so many of a ring is sorted anew.
_FEW = 8


class RingStats(StatGroup):
    """`cluster.<name>.ring_hash_lb.*`."""

    GAUGES = ("max_hashes_per_host", "min_hashes_per_host", "size")
    SAME = frozenset(GAUGES)
    __slots__ = GAUGES


class Ring:
    """The places in order, and beside each one the number of its owner. Never changed; `source` makes the next one."""

    __slots__ = ("_members", "_owners", "places", "source")

    def __init__(self, source: "_Source", places: "array[int]", owners: "array[int]") -> None:
        self.source = source
        self.places = places
        self._owners = owners
        self._members = source.members

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
        return self._members[self._owners[at]]

    def spliced(self, removed: list[int], added: list[int]) -> "Ring":
        """Without and with these places, packed with their owners: the rest is copied in pieces, nothing is sorted."""
        old, old_owners = self.places, self._owners
        # By where in the old ring: what is added there comes before what is there.
        edits = []
        for packed in added:
            place, owner = packed >> _OWNER_BITS, packed & _OWNER_MASK
            edits.append((bisect_left(old, place), 0, place, owner))
        for packed in removed:
            place, owner = packed >> _OWNER_BITS, packed & _OWNER_MASK
            at = bisect_left(old, place)
            # Others may own the same place.
            while old_owners[at] != owner:
                at += 1
            edits.append((at, 1, 0, 0))
        edits.sort()
        places, owners = array("Q"), array("I")
        done = 0
        for at, removes, place, owner in edits:
            if at > done:
                places += old[done:at]
                owners += old_owners[done:at]
                done = at
            if removes:
                done = at + 1
            else:
                places.append(place)
                owners.append(owner)
        return Ring(self.source, places + old[done:], owners + old_owners[done:])


class _Source:
    """The owners of a ring, by number, while rings come and go. A number is not given out again.

    counts: how many places each has. hashes: of all the places that it ever had.
    """

    __slots__ = ("_function", "counts", "hashes", "keys", "members", "numbers")

    def __init__(self, function: HashFunction) -> None:
        self._function = function
        self.numbers: dict[Endpoint, int] = {}
        self.members: list[Endpoint] = []
        self.keys: list[bytes] = []
        self.counts: list[int] = []
        self.hashes: list[array[int]] = []

    def next(self, ring: Ring | None, wanted: dict[Endpoint, int], by_hostname: bool) -> Generator[None, None, Ring]:
        """The ring in which each endpoint has as many places as wanted."""
        numbers, counts = self.numbers, self.counts
        removed: list[int] = []
        added: list[int] = []
        for endpoint in list(numbers.keys() - wanted.keys()):
            self._set(numbers.pop(endpoint), 0, removed, added)
        yield
        for done, (endpoint, count) in enumerate(wanted.items()):
            key = endpoint.hash_key or name_for_hash(endpoint, by_hostname)
            number = numbers.get(endpoint)
            if number is not None and self.keys[number] is not key:
                if self.keys[number] != key:
                    # It is called otherwise now.
                    self._set(number, 0, removed, added)
                    number = None
                else:
                    self.keys[number] = key
            if number is None:
                number = self._enter(endpoint, key)
            if counts[number] != count:
                while (known := len(self.hashes[number])) < count:
                    self._hash(number, min(count, known + _STRIDE))
                    yield
                self._set(number, count, removed, added)
            if not done % _STRIDE:
                yield
        if ring is not None and _FEW * (len(removed) + len(added)) < len(ring.places):
            return ring.spliced(removed, added)
        return (yield from self._sorted())

    def _enter(self, endpoint: Endpoint, key: bytes) -> int:
        number = self.numbers[endpoint] = len(self.members)
        self.members.append(endpoint)
        self.keys.append(key)
        self.counts.append(0)
        self.hashes.append(array("Q"))
        return number

    def _set(self, number: int, count: int, removed: list[int], added: list[int]) -> None:
        before, hashes = self.counts[number], self.hashes[number]
        if count > before:
            added += [place << _OWNER_BITS | number for place in hashes[before:count]]
        else:
            removed += [place << _OWNER_BITS | number for place in hashes[count:before]]
        self.counts[number] = count

    def _hash(self, number: int, count: int) -> None:
        known = self.hashes[number]
        prefix, function = self.keys[number] + b"_", self._function
        known.extend([function(prefix + b"%d" % i) for i in range(len(known), count)])

    def _sorted(self) -> Generator[None, None, Ring]:
        """All places of all owners, an arc of the ring at a time."""
        arcs = (sum(self.counts) // _STRIDE).bit_length()
        shift = 64 - arcs
        packed: list[list[int]] = [[] for _ in range(1 << arcs)]
        done = 0
        for number in self.numbers.values():
            count = self.counts[number]
            for place in self.hashes[number][:count]:
                packed[place >> shift].append(place << _OWNER_BITS | number)
            done += count
            if done >= _STRIDE:
                done = 0
                yield
        places, owners = array("Q"), array("I")
        for arc in packed:
            arc.sort()
            places.extend([each >> _OWNER_BITS for each in arc])
            owners.extend([each & _OWNER_MASK for each in arc])
            yield
        return Ring(self, places, owners)


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
        ring = previous if isinstance(previous, Ring) else None
        source = ring.source if ring is not None else _Source(self._function)
        if len(source.members) > 2 * len(source.numbers) + _STRIDE:
            # Most of those that it remembers have left.
            ring, source = None, _Source(self._function)
        wanted: dict[Endpoint, int] = {}
        if weighted.shares:
            # The endpoint with the least weight gets a whole number of places, unless the ring would be too large.
            scale = min(ceil(weighted.least * self._minimum) / weighted.least, float(self._maximum))
            wanted = yield from _wanted(weighted, scale)
            self.stats.size = ceil(scale)
            self.stats.min_hashes_per_host = min(wanted.values())
            self.stats.max_hashes_per_host = max(wanted.values())
        ring = yield from source.next(ring, wanted, self._by_hostname)
        return BoundedLoad(ring, weighted, self._balance) if self._balance else ring


def _wanted(weighted: Weighted, scale: float) -> Generator[None, None, dict[Endpoint, int]]:
    """How many places each endpoint is to have.

    As in Envoy they come of a running sum over all of them: where that is past a whole number, there is one more.
    """
    each = scale * weighted.least
    if weighted.least == weighted.most and each.is_integer():
        yield
        return dict.fromkeys([endpoint for endpoint, _ in weighted.shares], int(each))
    wanted: dict[Endpoint, int] = {}
    current, target = 0, 0.0
    for endpoint, share in weighted.shares:
        target += scale * share
        count = max(0, ceil(target) - current)
        current += count
        wanted[endpoint] = count
        if not len(wanted) % _STRIDE:
            yield
    return wanted
