"""envoy.config.route.v3.RouteAction.RequestMirrorPolicy."""

from collections.abc import Callable

from meshproxy.config.build_forward import cluster_named_by
from meshproxy.config.build_mutations import build_mutations
from meshproxy.config.build_route_match import build_fraction
from meshproxy.config.errors import ConfigError
from meshproxy.config.route_scope import Scope
from meshproxy.config.view import View
from meshproxy.http.stream import Stream
from meshproxy.net.local_address import local_address
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.forward import Forward
from meshproxy.routing.mirror import MirrorPolicy


def build_mirrors(view: View, scope: Scope) -> tuple[MirrorPolicy, ...]:
    """The request_mirror_policies of a route, virtual host or table."""
    found = []
    for i, each in enumerate(view.request_mirror_policies):
        with view.at("request_mirror_policies", i):
            found.append(_build(each, scope))
    return tuple(found)


def _build(view: View, scope: Scope) -> MirrorPolicy:
    ctx = scope.ctx
    if bool(view.cluster) == bool(view.cluster_header):
        raise ConfigError(
            "Only one of cluster or cluster_header in request mirror policy can be specified"
            if view.cluster
            else "Exactly one of cluster or cluster_header in request mirror policy need to be specified"
        )
    if view.cluster:
        scope.check_cluster(view.cluster, "shadow cluster")
    name_of = _always(view.cluster) if view.cluster else cluster_named_by(view.cluster_header)
    own = local_address(6 if ctx.options.get("local_address_ip_version") == "v6" else 4)
    policy = MirrorPolicy(ctx.clusters, name_of, Forward(ctx.clusters, scope.deadlines, ""), ctx.runtime, own)
    if view.runtime_fraction:
        policy.fraction = build_fraction(view.runtime_fraction)
    view.ignore("trace_sampled", why="nothing is traced yet")
    policy.suffix = not view.disable_shadow_host_suffix_append
    policy.host = wire_text(view.host_rewrite_literal)
    policy.mutations = build_mutations(view, "request_headers_mutations", ctx)
    return policy


def _always(name: str) -> Callable[[Stream], str]:
    return lambda _stream: name
