"""envoy.config.route.v3.Route: one entry of a virtual host."""

from meshproxy.config.build_direct_response import build_direct_response
from meshproxy.config.build_edits import build_edit
from meshproxy.config.build_endpoints import metadata_of
from meshproxy.config.build_forward import build_forward, build_max_duration, build_weighted
from meshproxy.config.build_internal_redirects import build_internal_redirects
from meshproxy.config.build_mirrors import build_mirrors
from meshproxy.config.build_overrides import build_overrides, with_cors, with_outer
from meshproxy.config.build_plan import build_plan
from meshproxy.config.build_redirect import build_redirect
from meshproxy.config.build_route_match import build_path_match, build_predicates, build_template
from meshproxy.config.errors import ConfigError
from meshproxy.config.route_scope import Scope, reject_specifiers
from meshproxy.config.view import View
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.edits import request_edits, response_edits
from meshproxy.routing.forward import Forward
from meshproxy.routing.path_match import PathMatch
from meshproxy.routing.route import Action, Route
from meshproxy.routing.stats import RequestStats
from meshproxy.routing.uri_template import UriTemplate

_TRACING = "tracing is not supported yet"


def build_route(view: View, scope: Scope) -> tuple[PathMatch, Route]:
    """A route, and how its path finds it."""
    with view.at("match"):
        template = build_template(view.match)
        match = build_path_match(view.match, template)
        predicates = build_predicates(view.match, scope.ctx)
    route = Route(_action(view, match, template, scope), wire_text(view.name))
    route.predicates = predicates
    if view.metadata:
        route.metadata = metadata_of(view.metadata)
    edits = scope.in_order(build_edit(view, "request"), scope.request_edits)
    route.request_edits = request_edits(edits)
    edits = scope.in_order(build_edit(view, "response"), scope.response_edits)
    route.response_edits = response_edits(edits)
    own = build_overrides(view, scope.ctx)
    if view.which("action") == "route":
        with view.at("route"):
            own = with_cors(own, view.route, scope.ctx)
    route.overrides = with_outer(own, scope.overrides)
    if view.stat_prefix:
        route.stats = RequestStats()
        scope.ctx.stats.add(f"vhost.{scope.host_name}.route.{view.stat_prefix}", route.stats)
    reject_specifiers(view)
    view.ignore("decorator", "tracing", why=_TRACING)
    if isinstance(route.action, Forward):
        _finish_forward(view, route, route.action, scope)
    return match, route


def _action(view: View, match: PathMatch, template: UriTemplate | None, scope: Scope) -> Action:
    kind = view.which("action")
    with view.at(kind or "route"):
        if kind == "route":
            return build_forward(view.route, match, template, scope)
        if kind == "redirect":
            return build_redirect(view.redirect, match)
        if kind == "direct_response":
            return build_direct_response(view.direct_response, scope.max_direct_body)
        if kind in ("non_forwarding_action", "filter_action"):
            view.ignore("filter_action", why="nothing looks at it")
            # As Envoy does: a route to the cluster without a name, which is never there.
            return Forward(scope.ctx.clusters, scope.deadlines, "")
        raise ConfigError("a route needs an action: route, redirect, direct_response or non_forwarding_action")


def _finish_forward(view: View, route: Route, forward: Forward, scope: Scope) -> None:
    """What a route that forwards has beside its action; what weighted clusters change comes last."""
    with view.at("route"):
        plan = build_plan(view.route, view, scope.plan, scope.ctx)
        plan.redirects = build_internal_redirects(view.route)
        plan.mirrors = build_mirrors(view.route, scope) or plan.mirrors
        forward.set_plan(plan)
    view = view.route
    route.idle_timeout = view.idle_timeout
    route.flush_timeout = view.flush_timeout
    route.max_duration = build_max_duration(view)
    if view.which("cluster_specifier") == "weighted_clusters":
        with view.at("weighted_clusters"):
            build_weighted(view.weighted_clusters, route, forward, scope)
