"""envoy.config.route.v3.RouteAction: where a route forwards to, and how."""

from collections.abc import Callable
from copy import copy

from meshproxy.config.build_edits import build_edit
from meshproxy.config.build_endpoints import metadata_of
from meshproxy.config.build_hash_policy import build_hash_policy
from meshproxy.config.build_matchers import header_getter
from meshproxy.config.build_overrides import build_overrides, with_outer
from meshproxy.config.build_rate_limits import build_rate_limits
from meshproxy.config.build_retry_policy import whole_milliseconds
from meshproxy.config.build_rewrites import build_host_rewrite, build_path_rewrite
from meshproxy.config.errors import ConfigError
from meshproxy.config.route_scope import Scope
from meshproxy.config.view import View
from meshproxy.http.headers import PSEUDO
from meshproxy.http.stream import Stream
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.edits import request_edits, response_edits
from meshproxy.routing.forward import ConnectConfig, Forward
from meshproxy.routing.grpc_timeout import GrpcTimeout, MaxDuration
from meshproxy.routing.path_match import PathMatch, fold_case
from meshproxy.routing.rate_limits import RouteLimits
from meshproxy.routing.route import RequestEdit, Route
from meshproxy.routing.uri_template import UriTemplate
from meshproxy.routing.weighted import WeightedChoice

_DEFAULT_TIMEOUT = 15.0
_NOT_FOUND = {"SERVICE_UNAVAILABLE": 503, "NOT_FOUND": 404, "INTERNAL_SERVER_ERROR": 500}
_PROXY_PROTOCOL = {"V1": 1, "V2": 2}
_MAX_WEIGHT = 2**32 - 1
_IGNORED: dict[str, tuple[str, ...]] = {
    "there is no early data here": ("early_data_policy",),
}


def build_forward(view: View, match: PathMatch, template: UriTemplate | None, scope: Scope) -> Forward:
    """The action but for weighted clusters, which share a copy of it each."""
    for why, names in _IGNORED.items():
        view.ignore(*names, why=why)
    forward = Forward(scope.ctx.clusters, scope.deadlines, "", _timeout(view))
    forward.not_found_status = _NOT_FOUND[view.enum("cluster_not_found_response_code")]
    forward.grpc_timeout = _grpc_timeout(view)
    _set_cluster(forward, view, scope)
    rewrites = (build_host_rewrite(view), build_path_rewrite(view, match, template))
    forward.rewrites = tuple(rewrite for rewrite in rewrites if rewrite is not None)
    forward.auto_host_rewrite = bool(view.auto_host_rewrite)
    forward.append_forwarded_host = view.append_x_forwarded_host
    forward.attempt_count_in_request = scope.attempt_count_in_request
    forward.attempt_count_in_response = scope.attempt_count_in_response
    forward.hash_policy = build_hash_policy(view.hash_policy)
    forward.priority = 1 if view.enum("priority") == "HIGH" else 0
    if view.metadata_match:
        forward.metadata_match = metadata_of(view.metadata_match).get("envoy.lb", {})
    limits = build_rate_limits(view, scope.ctx)
    with_host = view.get("include_vh_rate_limits", False)
    forward.rate_limits = RouteLimits(limits, with_host) if limits or with_host else None
    _set_upgrades(forward, view)
    return forward


def _timeout(view: View) -> float:
    timeout = view.seconds("timeout", _DEFAULT_TIMEOUT)
    # A route that limits the whole stream has no limit for the response.
    if view.has("max_stream_duration") or timeout is None:
        return 0.0
    return whole_milliseconds(timeout)


def _grpc_timeout(view: View) -> GrpcTimeout | None:
    longest = view.max_grpc_timeout
    if longest is None:
        view.ignore("grpc_timeout_offset", why="it goes with max_grpc_timeout")
        return None
    return None if view.has("max_stream_duration") else GrpcTimeout(longest, view.grpc_timeout_offset or 0.0)


def build_max_duration(view: View) -> MaxDuration | None:
    """max_stream_duration of a RouteAction."""
    if not view.max_stream_duration:
        return None
    limits = view.max_stream_duration
    return MaxDuration(
        limits.max_stream_duration, limits.grpc_timeout_header_max, limits.grpc_timeout_header_offset or 0.0
    )


def _set_cluster(forward: Forward, view: View, scope: Scope) -> None:
    kind = view.which("cluster_specifier")
    if kind == "cluster":
        with view.at("cluster"):
            scope.check_cluster(view.cluster)
        forward.cluster_name = view.cluster
    elif kind == "cluster_header":
        forward.name_of = cluster_named_by(view.cluster_header)
    elif kind != "weighted_clusters":
        view.reject(kind or "cluster", "cluster specifier plugins are not supported")


def cluster_named_by(header: str) -> Callable[[Stream], str]:
    """Reads the cluster from the first line of a header: others after it cannot be trusted. "" where there is none."""
    name = fold_case(wire_text(header))
    if name in PSEUDO:
        get = header_getter(name)
        return lambda stream: get(stream.request) or ""
    return lambda stream: next(iter(stream.request.get_all(name)), "")


def _set_upgrades(forward: Forward, view: View) -> None:
    for i, upgrade in enumerate(view.upgrade_configs):
        with view.at("upgrade_configs", i):
            kind = fold_case(upgrade.upgrade_type)
            if kind in forward.upgrades:
                raise ConfigError(f"Duplicate upgrade {upgrade.upgrade_type}")
            forward.upgrades = {**forward.upgrades, kind: upgrade.get("enabled", True)}
            if upgrade.connect_config:
                if kind not in ("connect", "connect-udp"):
                    raise ConfigError(f"Non-CONNECT upgrade type {upgrade.upgrade_type} has ConnectConfig")
                forward.connect = _connect(upgrade.connect_config)


def _connect(view: View) -> ConnectConfig:
    version = 0
    if view.proxy_protocol_config:
        view.proxy_protocol_config.ignore("pass_through_tlvs", "added_tlvs", why="TLVs are not sent")
        version = _PROXY_PROTOCOL[view.proxy_protocol_config.enum("version")]
    return ConnectConfig(view.allow_post, version)


def build_weighted(view: View, parent: Route, forward: Forward, scope: Scope) -> None:
    """Gives `parent`, which has all else that it needs, a route for each weighted cluster."""
    view.ignore("total_weight", why="the weights are taken as they sum up")
    choices, weights = [], []
    for i, cluster in enumerate(view.clusters):
        with view.at("clusters", i):
            choices.append(_choice(cluster, parent, forward, scope))
            if cluster.weight is None:
                raise ConfigError("Field 'weight' is missing")
            weights.append(cluster.weight)
    if not 0 < sum(weights) <= _MAX_WEIGHT:
        raise ConfigError(
            "Sum of weights in the weighted_cluster must be greater than 0."
            if not sum(weights)
            else f"The sum of weights of all weighted clusters of route {parent.name} exceeds {_MAX_WEIGHT}"
        )
    parent.choices = tuple(choices)
    hashed = forward.hash_policy if view.get("use_hash_policy") else None
    parent.choose = WeightedChoice(choices, weights, fold_case(view.header_name), _weights_now(view, scope), hashed)


def _choice(view: View, parent: Route, forward: Forward, scope: Scope) -> Route:
    action = copy(forward)
    if bool(view.name) == bool(view.cluster_header):
        raise ConfigError(
            "Only one of name or cluster_header can be specified"
            if view.name
            else "At least one of name or cluster_header need to be specified"
        )
    if view.name:
        scope.check_cluster(view.name, "weighted cluster")
        action.cluster_name = view.name
    else:
        action.name_of = cluster_named_by(view.cluster_header)
    action.metadata_match = {**forward.metadata_match, **metadata_of(view.metadata_match).get("envoy.lb", {})}
    route = copy(parent)
    route.action = action
    on_request = request_edits([build_edit(view, "request")])
    if view.host_rewrite_literal:
        on_request += (_set_host(wire_text(view.host_rewrite_literal)),)
    route.request_edits = on_request + parent.request_edits
    route.response_edits = response_edits([build_edit(view, "response")]) + parent.response_edits
    route.overrides = with_outer(build_overrides(view, scope.ctx), parent.overrides)
    return route


def _set_host(host: str) -> RequestEdit:
    def rewrite(stream: Stream) -> None:
        stream.request.authority = host

    return rewrite


def _weights_now(view: View, scope: Scope) -> Callable[[], list[int]] | None:
    """With a runtime_key_prefix every weight has a runtime key."""
    if not view.runtime_key_prefix:
        return None
    keys = [(f"{view.runtime_key_prefix}.{cluster.name}", cluster.weight or 0) for cluster in view.clusters]
    integer = scope.ctx.runtime.integer
    return lambda: [integer(key, weight) for key, weight in keys]
