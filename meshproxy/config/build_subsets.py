"""Subsets: lb_subset_config of a cluster, and the extension `subset` (load_balancing_policies.subset.v3.Subset)."""

from meshproxy.config.lb_scope import LbScope, MakeBalancer
from meshproxy.config.structs import wire_struct
from meshproxy.config.view import View
from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.balancers.subset import (
    KEYS_SUBSET,
    Selector,
    SubsetBalancer,
    SubsetSettings,
)


class SubsetStats(StatGroup):
    """The gauge that only clusters with subsets have."""

    GAUGES = ("lb_subsets_single_host_per_subset_duplicate",)
    SAME = frozenset(GAUGES)
    __slots__ = ("balancers",)

    def __init__(self) -> None:
        self.balancers: list[SubsetBalancer] = []
        super().__init__()

    @property
    def lb_subsets_single_host_per_subset_duplicate(self) -> int:
        return sum([each.duplicates for each in self.balancers])


def with_subsets(view: View, make: MakeBalancer, scope: LbScope, redundant: bool = False) -> MakeBalancer:
    """make: what balances within a subset. redundant: allow_redundant_keys, which only the extension has."""
    settings = SubsetSettings(
        selectors=tuple([_selector(each) for each in view.subset_selectors]),
        fallback=view.enum("fallback_policy"),
        default=wire_struct(view.default_subset.take()) if view.default_subset else {},
        panic_any=view.panic_mode_any,
        list_as_any=view.list_as_any,
        locality_aware=view.locality_weight_aware,
        scale_localities=view.locality_weight_aware and view.scale_locality_weight,
        fallback_list=view.enum("metadata_fallback_policy") == "FALLBACK_LIST",
        redundant=redundant,
    )
    if not settings.locality_aware:
        view.ignore("scale_locality_weight", why="locality_weight_aware is not set")
    stats = scope.groups.setdefault("", SubsetStats())
    assert isinstance(stats, SubsetStats)

    def build() -> SubsetBalancer:
        balancer = SubsetBalancer(make, scope.stats, settings)
        stats.balancers.append(balancer)
        return balancer

    return build


def _selector(view: View) -> Selector:
    keys = tuple(sorted(set(view.keys)))
    policy = view.enum("fallback_policy")
    fallback_keys = frozenset(view.fallback_keys_subset)
    if policy != KEYS_SUBSET:
        if fallback_keys:
            why = "fallback_keys_subset can be set only for KEYS_SUBSET fallback_policy"
            view.reject("fallback_keys_subset", why)
    elif not fallback_keys:
        view.reject("fallback_keys_subset", "fallback_keys_subset cannot be empty")
    elif not fallback_keys.issubset(keys):
        view.reject("fallback_keys_subset", "fallback_keys_subset must be a subset of selector keys")
    elif len(fallback_keys) == len(keys):
        view.reject("fallback_keys_subset", "fallback_keys_subset cannot be equal to keys")
    return Selector(keys, policy, fallback_keys, view.single_host_per_subset)

