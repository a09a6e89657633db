"""The balancer of a cluster: `lb_policy`, `load_balancing_policy` and `common_lb_config`."""

from collections.abc import Callable

from meshproxy.config.build_hash_balancers import maglev, old_maglev, old_ring_hash, ring_hash
from meshproxy.config.build_localities import any_locality, old_localities, read_localities, weigh_localities
from meshproxy.config.build_override_host import override_host
from meshproxy.config.build_slow_start import build_slow_start
from meshproxy.config.build_subsets import with_subsets
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.lb_scope import LbScope, MakeBalancer
from meshproxy.config.view import View
from meshproxy.upstream.balancers.client_side_weighted import ClientSideWeighted, Reports, ReportSettings
from meshproxy.upstream.balancers.least_request import LeastRequest
from meshproxy.upstream.balancers.random import Random
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.balancers.table import Policy
from meshproxy.upstream.priorities import Balancer, PriorityBalancer, PrioritySettings
from meshproxy.upstream.stats import ClusterStats

_POLICIES = "envoy.extensions.load_balancing_policies."
_CLIENT_SIDE = "client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin"
_OLD_CONFIGS = {
    "ROUND_ROBIN": "round_robin_lb_config", "LEAST_REQUEST": "least_request_lb_config",
    "RING_HASH": "ring_hash_lb_config", "MAGLEV": "maglev_lb_config",
}  # fmt: skip
_PARTIAL = ("zone_aware_lb_config", "locality_weighted_lb_config", "consistent_hashing_lb_config")

BuildPolicy = Callable[[View, LbScope], MakeBalancer]


def build_balancer(cluster: View, stats: ClusterStats, ctx: Context) -> tuple[Balancer, LbScope]:
    """The balancer, and what it has beside it."""
    scope = LbScope(ctx, stats, cluster)
    common = cluster.common_lb_config
    common.ignore("update_merge_window", why="every update is applied at once")
    if not cluster.health_checks:
        common.ignore("ignore_new_hosts_until_first_hc", why="the cluster has no active health checks")
    common.ignore("override_host_status", why="no filter here chooses hosts for sessions")
    if cluster.load_balancing_policy:
        if any(common.has(name) for name in _PARTIAL):
            what = f"partial fields ({', '.join(_PARTIAL)}) of common_lb_config"
            cluster.reject("common_lb_config", f"cluster: load_balancing_policy cannot be combined with {what}")
        if cluster.lb_subset_config:
            what = "lb_subset_config"
            cluster.reject(what, f"cluster: load_balancing_policy cannot be combined with {what}")
        cluster.ignore("lb_policy", *_OLD_CONFIGS.values(), why="load_balancing_policy says it")
        with cluster.at("load_balancing_policy"):
            make = from_extension(cluster.load_balancing_policy, scope)
    else:
        make = _from_enum(cluster, scope)
        if cluster.lb_subset_config.locality_weight_aware and not common.has("locality_weighted_lb_config"):
            asked = f"requires that a locality_weighted_lb_config be set in {cluster.name}"
            cluster.reject("lb_subset_config", f"Locality weight aware subset LB {asked}")
        # As in Envoy, nothing but selectors makes subsets.
        if cluster.lb_subset_config.subset_selectors:
            if cluster.enum("lb_policy") == "CLUSTER_PROVIDED":
                why = "cluster: LB policy CLUSTER_PROVIDED cannot be combined with lb_subset_config"
                cluster.reject("lb_subset_config", why)
            with cluster.at("lb_subset_config"):
                make = with_subsets(cluster.lb_subset_config, make, scope)
        else:
            cluster.ignore("lb_subset_config", why="there are no subset_selectors")
    return make(), scope


def provided_by_cluster(cluster: View) -> bool:
    """Whether the cluster's type has to bring a balancer. As in Envoy, `load_balancing_policy` cannot say so."""
    return not cluster.load_balancing_policy and cluster.enum("lb_policy") == "CLUSTER_PROVIDED"


def _from_enum(cluster: View, scope: LbScope) -> MakeBalancer:
    policy = cluster.enum("lb_policy")
    used = _OLD_CONFIGS.get(policy, "")
    cluster.ignore(*[name for name in _OLD_CONFIGS.values() if name != used], why=f"lb_policy is {policy}")
    common = cluster.common_lb_config
    if policy == "RING_HASH":
        return old_ring_hash(cluster.ring_hash_lb_config, common, scope)
    if policy == "MAGLEV":
        return old_maglev(cluster.maglev_lb_config, common, scope)
    if policy == "LOAD_BALANCING_POLICY_CONFIG":
        cluster.reject("lb_policy", "cluster: field load_balancing_policy need to be set")
    common.ignore("consistent_hashing_lb_config", why=f"lb_policy is {policy}")
    localities = old_localities(common)
    if policy == "ROUND_ROBIN":
        return _plain(scope, localities, _round_robin(cluster.round_robin_lb_config, scope))
    if policy == "LEAST_REQUEST":
        return _plain(scope, localities, _least_request(cluster.least_request_lb_config, scope))
    # CLUSTER_PROVIDED: the cluster's type puts its own in the place of this one, which has nothing to pick from.
    return _plain(scope, localities, Random)


def from_extension(policy: View, scope: LbScope) -> MakeBalancer:
    """envoy.config.cluster.v3.LoadBalancingPolicy. As in Envoy, the first entry whose type is known counts."""
    make: MakeBalancer | None = None
    types = []
    for i, entry in enumerate(policy.policies):
        extension = entry.typed_extension_config
        _ = extension.name  # the type says which policy it is
        types.append(extension.typed_config.type_name)
        build = KNOWN.get(types[-1].removeprefix(_POLICIES))
        if make is None and build is not None:
            with policy.at("policies", i):
                make = build(extension.typed_config.unpack(), scope)
        else:
            extension.ignore("typed_config", why="another entry is used")
    if make is None:
        raise ConfigError(f"none of these policies is supported: {', '.join(types)}")
    return make


def _subset(view: View, scope: LbScope) -> MakeBalancer:
    if not view.subset_lb_policy.policies:
        why = "cluster: didn't find a registered load balancer factory implementation for subset lb with names from []"
        view.reject("subset_lb_policy", why)
    with view.at("subset_lb_policy"):
        make = from_extension(view.subset_lb_policy, scope)
    return with_subsets(view, make, scope, view.allow_redundant_keys)


def _provided(view: View) -> MakeBalancer:
    """As in Envoy, only lb_policy can say so: the types that bring a balancer ask for that."""
    raise ConfigError("cluster provided LB specified but the cluster did not provide one. Check cluster documentation.")


MakePolicy = Callable[[], Policy]
ReadLocalities = Callable[[PrioritySettings], None]


def _plain(scope: LbScope, localities: ReadLocalities, make: MakePolicy) -> MakeBalancer:
    """Balancers that pick by a policy without hashes."""
    def build() -> PriorityBalancer:
        settings = scope.settings()
        localities(settings)
        return PriorityBalancer(make(), scope.stats, settings)

    return build


def _round_robin(view: View, scope: LbScope) -> MakePolicy:
    slow_start = build_slow_start(view.slow_start_config, scope.ctx)
    return lambda: RoundRobin(slow_start())


def _least_request(view: View, scope: LbScope) -> MakePolicy:
    choices = view.get("choice_count", 2)
    bias, key = 1.0, ""
    if view.has("active_request_bias"):
        key = view.active_request_bias.runtime_key
        bias = view.active_request_bias.default_value
    full_scan = False
    if view.type_name.startswith(_POLICIES):
        full_scan = bool(view.get("enable_full_scan")) or view.enum("selection_method") == "FULL_SCAN"
    slow_start = build_slow_start(view.slow_start_config, scope.ctx)
    return lambda: LeastRequest(choices, bias, full_scan, slow_start(), scope.ctx.runtime, key)


def _client_side_weighted(view: View, scope: LbScope) -> MakePolicy:
    asked = ("enable_oob_load_report", "oob_reporting_period", "oob_reporting_config")
    view.ignore(*asked, why="endpoints report with their responses, and are not asked beside them")
    settings = ReportSettings(
        view.get("blackout_period", 10.0), view.get("weight_expiration_period", 180.0),
        view.get("weight_update_period", 1.0), view.get("error_utilization_penalty", 0.0),
        tuple(view.metric_names_for_computing_utilization),
    )  # fmt: skip
    reports = Reports(settings)
    scope.load_reports = reports.hear
    slow_start = build_slow_start(view.slow_start_config, scope.ctx)
    return lambda: ClientSideWeighted(reports, slow_start())


def _wrr_locality(view: View, scope: LbScope) -> MakeBalancer:
    """Localities by weight, and within them by what endpoints report."""
    policy = view.endpoint_picking_policy
    for i, entry in enumerate(policy.policies):
        kind = entry.typed_extension_config.typed_config.type_name.removeprefix(_POLICIES)
        if kind == _CLIENT_SIDE:
            _ = entry.typed_extension_config.name
            for other in policy.policies[i + 1 :]:
                other.ignore("typed_extension_config", why="another entry is used")
            with policy.at("policies", i):
                inner = entry.typed_extension_config.typed_config.unpack()
                return _plain(scope, weigh_localities, _client_side_weighted(inner, scope))
        if kind in KNOWN:
            only = "ClientSideWeightedRoundRobinLoadBalancer as its endpoint picking policy."
            view.reject("endpoint_picking_policy", f"Currently WrrLocalityLoadBalancer only supports {only}")
    view.reject("endpoint_picking_policy", "No supported endpoint picking policy.")


def _extended(make: Callable[[View, LbScope], MakePolicy]) -> BuildPolicy:
    """As an extension, a policy has what common_lb_config says of localities in itself."""
    return lambda view, scope: _plain(scope, read_localities(view.locality_lb_config), make(view, scope))


KNOWN: dict[str, BuildPolicy] = {
    "round_robin.v3.RoundRobin": _extended(_round_robin),
    "least_request.v3.LeastRequest": _extended(_least_request),
    "random.v3.Random": _extended(lambda view, scope: Random),
    _CLIENT_SIDE: lambda view, scope: _plain(scope, any_locality, _client_side_weighted(view, scope)),
    "wrr_locality.v3.WrrLocality": _wrr_locality,
    "ring_hash.v3.RingHash": ring_hash,
    "maglev.v3.Maglev": maglev,
    "subset.v3.Subset": _subset,
    "override_host.v3.OverrideHost": lambda view, scope: override_host(view, scope, from_extension),
    "cluster_provided.v3.ClusterProvided": lambda view, scope: _provided(view),
}
"""The policies of load_balancing_policy, by their types."""
