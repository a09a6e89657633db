"""The balancer of a cluster: `lb_policy`, `load_balancing_policy` and `common_lb_config`."""

from collections.abc import Callable

from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.upstream.balancers.least_request import LeastRequest
from meshproxy.upstream.balancers.random import Random
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.priorities import Balancer, PriorityBalancer
from meshproxy.upstream.stats import ClusterStats

MakeBalancer = Callable[[], Balancer]

_POLICIES = "envoy.extensions.load_balancing_policies."
_NO_LOCAL_CLUSTER = "zone-aware routing needs a local cluster, which is not supported yet"


def build_balancer(cluster: View, stats: ClusterStats) -> PriorityBalancer:
    common = cluster.common_lb_config
    threshold = common.healthy_panic_threshold.value if common.has("healthy_panic_threshold") else 50.0
    common.ignore("update_merge_window", why="every update is applied at once")
    common.ignore("ignore_new_hosts_until_first_hc", why="there are no active health checks yet")
    common.ignore("consistent_hashing_lb_config", why="only ring_hash and maglev read it")
    common.ignore("override_host_status", why="only the override_host policy reads it")
    fail_on_panic = False
    if common.which("locality_config_specifier") == "zone_aware_lb_config":
        zones = common.zone_aware_lb_config
        zones.ignore("routing_enabled", "min_cluster_size", why=_NO_LOCAL_CLUSTER)
        fail_on_panic = zones.fail_traffic_on_panic
    make = _from_extension(cluster.load_balancing_policy) if cluster.load_balancing_policy else _from_enum(cluster)
    balancer = PriorityBalancer(make, stats, threshold, fail_on_panic)
    factor = cluster.load_assignment.policy.get("overprovisioning_factor")
    if factor is not None:
        balancer.overprovisioning = factor
    return balancer


def provided_by_cluster(cluster: View) -> bool:
    """Whether the cluster's type has to bring a balancer. As in Envoy, `load_balancing_policy` cannot say so."""
    return not cluster.load_balancing_policy and cluster.enum("lb_policy") == "CLUSTER_PROVIDED"


def _from_enum(cluster: View) -> MakeBalancer:
    policy = cluster.enum("lb_policy")
    cluster.ignore("round_robin_lb_config", "least_request_lb_config", why=f"lb_policy is {policy}")
    if policy == "ROUND_ROBIN":
        # Nothing in it but slow start, which is reported as not supported.
        return _round_robin(cluster.round_robin_lb_config)
    if policy == "LEAST_REQUEST":
        return _least_request(cluster.least_request_lb_config)
    if policy == "RANDOM":
        return Random
    if policy == "CLUSTER_PROVIDED":
        # The cluster's type puts its own in the place of this one, which has nothing to pick from.
        return Random
    cluster.reject("lb_policy", f"{policy} is not supported yet: ROUND_ROBIN, LEAST_REQUEST and RANDOM are")


def _from_extension(policy: View) -> MakeBalancer:
    """As in Envoy, the first entry whose type is known counts."""
    known = {
        f"{_POLICIES}round_robin.v3.RoundRobin": _round_robin,
        f"{_POLICIES}least_request.v3.LeastRequest": _least_request,
        f"{_POLICIES}random.v3.Random": _random,
    }
    make: MakeBalancer | None = None
    types = []
    for entry in policy.policies:
        extension = entry.typed_extension_config
        _ = extension.name  # the type says which policy it is
        types.append(extension.typed_config.type_name)
        build = known.get(types[-1])
        if make is None and build is not None:
            make = build(extension.typed_config.unpack())
        else:
            extension.ignore("typed_config", why="another entry is used")
    if make is None:
        raise ConfigError(f"none of these policies is supported: {', '.join(types)}")
    return make


def _round_robin(view: View) -> MakeBalancer:
    _read_localities(view)
    return RoundRobin


def _random(view: View) -> MakeBalancer:
    _read_localities(view)
    return Random


def _least_request(view: View) -> MakeBalancer:
    _read_localities(view)
    choices = view.get("choice_count", 2)
    bias = 1.0
    if view.has("active_request_bias"):
        view.active_request_bias.ignore("runtime_key", why="the bias is fixed when the configuration arrives")
        bias = view.active_request_bias.default_value
        if bias < 0:
            view.reject("active_request_bias", "must not be negative")
    full_scan = view.type_name.startswith(_POLICIES) and view.enum("selection_method") == "FULL_SCAN"
    return lambda: LeastRequest(choices, bias, full_scan)


def _read_localities(view: View) -> None:
    if not view.type_name.startswith(_POLICIES):
        return
    localities = view.locality_lb_config
    if localities.which("locality_config_specifier") == "zone_aware_lb_config":
        view.ignore("locality_lb_config", why=_NO_LOCAL_CLUSTER)
