"""Which locality is picked from: by weight, or the proxy's own first (Envoy's ZoneAwareLoadBalancerBase)."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from meshproxy.net.randomness import source
from meshproxy.net.runtime import Fraction, Runtime
from meshproxy.upstream.balancers.edf import EdfTable
from meshproxy.upstream.balancers.table import Table
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.host_set import HostSet
from meshproxy.upstream.stats import ClusterStats

_random = source("balancing").random

# Parts of the whole in which shares of localities are counted.
_WHOLE = 10000
_ENABLED = "upstream.zone_routing.enabled"
_MIN_CLUSTER_SIZE = "upstream.zone_routing.min_cluster_size"
_FORCE_DIRECT = "upstream.zone_routing.force_locality_direct_routing"


class WeightedLocalities:
    """Localities in a weighted turn; `tables` and `weights` by locality, weights above 0."""

    __slots__ = ("_turn",)

    def __init__(self, tables: Sequence[Table], weights: Sequence[float]) -> None:
        weight_of = {id(table): weight for table, weight in zip(tables, weights, strict=True)}
        self._turn: EdfTable[Table] = EdfTable(tables, lambda table: weight_of[id(table)])

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        return self._turn.next().pick(stream)


class ZoneSettings:
    """Zone-aware routing. enabled: percent of the requests; min_cluster_size: healthy endpoints that it takes.

    locals: the endpoints of the cluster that this proxy is a member of; None where there is none.
    """

    __slots__ = ("enabled", "fail_on_panic", "force_direct", "locals", "min_cluster_size", "runtime")

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.enabled = 100
        self.min_cluster_size = 6
        self.fail_on_panic = False
        self.force_direct = False
        self.locals: Callable[[], HostSet | None] | None = None

    def applies(self, host_set: HostSet, local: HostSet, stats: ClusterStats) -> bool:
        """Whether the first priority's endpoints are to be picked by zone at all."""
        if len(host_set.localities) < 2 or (len(local.localities) < 2 and not self._forced()):
            return False
        if not local.has_local:
            stats.lb_local_cluster_not_ok += 1
            return False
        if len(host_set.healthy) < self.runtime.integer(_MIN_CLUSTER_SIZE, self.min_cluster_size):
            stats.lb_zone_cluster_too_small += 1
            return False
        return True

    def table(
        self, host_set: HostSet, local: HostSet, whole: Table, tables: Sequence[Table], panics: bool,
        stats: ClusterStats,
    ) -> "ZoneAware":  # fmt: skip
        """whole: what picks without regard to zones. panics: whether too few of the local cluster are usable."""
        here = {each.locality: len(each.healthy) for each in local.localities}
        all_here, all_there = sum(here.values()), max(1, len(host_set.healthy))
        shares = [
            (_WHOLE * here.get(each.locality, 0) // all_here, _WHOLE * len(each.healthy) // all_there)
            if each.healthy and all_here else (0, _WHOLE * len(each.healthy) // all_there)
            for each in host_set.localities
        ]  # fmt: skip
        zone = ZoneAware(self, stats, whole, tables, panics)
        first_here, first_there = shares[0]
        if host_set.has_local and (self._forced() or (first_there > 0 and first_there >= first_here)):
            return zone
        zone.direct = False
        if host_set.has_local and first_here > 0:
            zone.local_share = first_there * _WHOLE // first_here
        rest = [0 if not i and host_set.has_local else max(0, b - a) for i, (a, b) in enumerate(shares)]
        zone.residual = list(accumulate(rest))
        return zone

    def _forced(self) -> bool:
        return self.runtime.boolean(_FORCE_DIRECT, self.force_direct)


class ZoneAware:
    """direct: the own zone can carry all of it; otherwise `local_share` of 10,000, and what is left goes by `residual`:

    what other zones can carry beyond their own traffic, summed up.
    """

    __slots__ = (
        "_enabled", "_fail", "_panics", "_runtime", "_stats", "_tables", "_whole", "direct", "local_share", "residual",
    )  # fmt: skip

    def __init__(
        self, settings: ZoneSettings, stats: ClusterStats, whole: Table, tables: Sequence[Table], panics: bool
    ) -> None:
        self._enabled = Fraction(settings.enabled, 100, _ENABLED)
        self._runtime = settings.runtime
        self._fail = settings.fail_on_panic
        self._panics = panics
        self._stats = stats
        self._whole = whole
        self._tables = tables
        self.direct = True
        self.local_share = 0
        self.residual: list[int] = []

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        if not self._runtime.enabled(self._enabled):
            return self._whole.pick(stream)
        stats = self._stats
        if self._panics:
            stats.lb_local_cluster_not_ok += 1
            return None if self._fail else self._whole.pick(stream)
        if self.direct:
            stats.lb_zone_routing_all_directly += 1
            return self._tables[0].pick(stream)
        if _random() * _WHOLE < self.local_share:
            stats.lb_zone_routing_sampled += 1
            return self._tables[0].pick(stream)
        stats.lb_zone_routing_cross_zone += 1
        most = self.residual[-1]
        if not most:
            stats.lb_zone_no_capacity_left += 1
            return self._tables[int(_random() * len(self._tables))].pick(stream)
        return self._tables[bisect_right(self.residual, int(_random() * most))].pick(stream)
