"""Which endpoints are picked from, by priority, health and locality; and how a change becomes new tables."""

from collections.abc import Callable, Generator, Hashable, Iterator
from typing import Any, Protocol

from meshproxy.net.randomness import source
from meshproxy.net.runtime import Runtime
from meshproxy.upstream.balancers.localities import WeightedLocalities, ZoneSettings
from meshproxy.upstream.balancers.table import EMPTY, Policy, Table
from meshproxy.upstream.endpoint import Endpoint, Locality
from meshproxy.upstream.host_set import HostSet, LocalityHosts, group_endpoints
from meshproxy.upstream.priority_loads import OVERPROVISIONING, PriorityLoads, share_load
from meshproxy.upstream.stats import ClusterStats

_random = source("balancing").random

_PANIC_THRESHOLD = "upstream.healthy_panic_threshold"


class Pick(Protocol):
    """stream: a Stream, or whatever else is on its way to an endpoint; None where there is nothing to know of it.

    attempt: how many endpoints were refused for the same try. Returns None where no endpoint may be used.
    """

    def __call__(self, stream: Any, attempt: int = 0) -> Endpoint | None: ...


class Balancer(Protocol):
    """Picks from tables that were prepared when the endpoints changed.

    `rebuild` works on new ones while the old ones serve, with chances for others to have a turn, and puts them in
    place at its end. `update` does it at once.
    """

    @property
    def pick(self) -> Pick: ...
    def rebuild(self, endpoints: list[Endpoint]) -> Iterator[None]: ...
    def update(self, endpoints: list[Endpoint]) -> None: ...


class PrioritySettings:
    """What the configuration says of priorities and localities.

    panic_threshold: percent of usable endpoints below which a priority panics, 0 never. weighted_health: health is
    counted by weight. zones: None where endpoints are not picked by zone.
    """

    __slots__ = (
        "local", "locality_weighted", "overprovisioning", "panic_threshold", "runtime", "weighted_health", "zones",
    )  # fmt: skip

    def __init__(self, runtime: Runtime | None = None) -> None:
        self.runtime = runtime or Runtime()
        self.panic_threshold = 50
        self.overprovisioning = OVERPROVISIONING
        self.weighted_health = False
        self.locality_weighted = False
        # Where this proxy is.
        self.local: Locality = ("", "", "")
        self.zones = ZoneSettings(self.runtime)

    def panic_now(self) -> float:
        return min(100, self.runtime.integer(_PANIC_THRESHOLD, self.panic_threshold))

    def share(self, sets: list[HostSet]) -> PriorityLoads:
        available = [each.available(self.overprovisioning, self.weighted_health) for each in sets]
        return share_load(sets, available, self.panic_now())


class _Level:
    """One priority: what picks where it is healthy enough, what where degraded endpoints have to help, and in panic."""

    __slots__ = ("degraded", "everything", "healthy")

    def __init__(self) -> None:
        self.healthy: Table = EMPTY
        self.degraded: Table = EMPTY
        self.everything: Table = EMPTY


class PriorityBalancer:
    """For policies that do not hash. `loads`: the shares of the priorities as they are now."""

    __slots__ = ("_levels", "_policy", "_stats", "_tables", "loads", "locality_weight", "pick", "settings")

    def __init__(self, policy: Policy, stats: ClusterStats, settings: PrioritySettings | None = None) -> None:
        self._policy = policy
        self._stats = stats
        self.settings = settings or PrioritySettings()
        self.locality_weight: Callable[[int, LocalityHosts], int] = _configured_weight
        self._levels: list[_Level] = [_Level()]
        self.loads = PriorityLoads([100], [0], [False])
        # By what they pick from: a fresh table may take over something from the one before.
        self._tables: dict[Hashable, Table] = {}
        # Where one priority carries everything and does not panic, that is its table's own method.
        self.pick: Pick = EMPTY.pick

    def update(self, endpoints: list[Endpoint]) -> None:
        for _ in self.rebuild(endpoints):
            pass

    def rebuild(self, endpoints: list[Endpoint]) -> Iterator[None]:
        sets = yield from group_endpoints(endpoints, self.settings.local)
        loads = self.settings.share(sets)
        tables: dict[Hashable, Table] = {}
        levels = []
        for priority, host_set in enumerate(sets):
            levels.append((yield from self._level(priority, host_set, loads.panic[priority], tables)))
        self._levels, self.loads, self._tables = levels, loads, tables
        only = next((i for i, load in enumerate(loads.healthy) if load == 100 and not loads.panic[i]), None)
        self.pick = self._pick_shared if only is None else levels[only].healthy.pick

    def pick_by(self, loads: PriorityLoads, stream: Any, attempt: int = 0) -> Endpoint | None:
        """With other shares of the priorities (a retry that avoids some). Their number is that of `self.loads`."""
        priority, degraded = loads.choose(int(_random() * 100))
        level = self._levels[priority]
        if self.loads.panic[priority]:
            self._stats.lb_healthy_panic += 1
            return None if self.settings.zones.fail_on_panic else level.everything.pick(stream, attempt)
        return (level.degraded if degraded else level.healthy).pick(stream, attempt)

    def _pick_shared(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        return self.pick_by(self.loads, stream, attempt)

    # ---- making tables ----

    def _level(
        self, priority: int, host_set: HostSet, panics: bool, tables: dict[Hashable, Table]
    ) -> Generator[None, None, _Level]:
        level = _Level()
        local = self._local_hosts(host_set) if not priority else None
        if panics:
            level.everything = yield from self._table((priority, "all"), host_set.all, tables)
            return level
        level.healthy = yield from self._table((priority, "healthy"), host_set.healthy, tables)
        if host_set.degraded:
            level.degraded = yield from self._table((priority, "degraded"), host_set.degraded, tables)
        if self.settings.locality_weighted:
            level.healthy = yield from self._by_weight(priority, host_set, False, level.healthy, tables)
            level.degraded = yield from self._by_weight(priority, host_set, True, level.degraded, tables)
        elif local is not None:
            level.healthy = yield from self._by_zone(host_set, local, level.healthy, tables)
        return level

    def _table(
        self, key: Hashable, endpoints: list[Endpoint], tables: dict[Hashable, Table]
    ) -> Generator[None, None, Table]:
        table = tables[key] = yield from self._policy.table(endpoints, self._tables.get(key))
        return table

    def _by_weight(
        self, priority: int, host_set: HostSet, degraded: bool, whole: Table, tables: dict[Hashable, Table]
    ) -> Generator[None, None, Table]:
        """`whole` where no locality has a weight and endpoints to use."""
        found: list[Table] = []
        weights = []
        for hosts in host_set.localities:
            usable = hosts.degraded if degraded else hosts.healthy
            weight = self.locality_weight(priority, hosts) * hosts.carries(usable, self.settings.overprovisioning)
            if weight > 0:
                key = (priority, degraded, hosts.locality)
                found.append((yield from self._table(key, usable, tables)))
                weights.append(weight)
        return WeightedLocalities(found, weights) if found else whole

    def _local_hosts(self, host_set: HostSet) -> HostSet | None:
        """Those of the proxy's own cluster, where that says how zones are picked from."""
        zones = self.settings.zones
        local = zones.locals() if zones.locals is not None else None
        if local is None:
            return None
        self._stats.lb_recalculate_zone_structures += 1
        return local if zones.applies(host_set, local, self._stats) else None

    def _by_zone(
        self, host_set: HostSet, local: HostSet, whole: Table, tables: dict[Hashable, Table]
    ) -> Generator[None, None, Table]:
        zones = self.settings.zones
        found: list[Table] = []
        for hosts in host_set.localities:
            found.append((yield from self._table((0, False, hosts.locality), hosts.healthy, tables)))
        return zones.table(host_set, local, whole, found, local.panics(self.settings.panic_now()), self._stats)


def _configured_weight(priority: int, hosts: LocalityHosts) -> int:
    return hosts.weight
