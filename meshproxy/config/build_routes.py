"""envoy.config.route.v3.RouteConfiguration: the virtual hosts of a route table and their domains."""

from collections.abc import Callable
from dataclasses import replace

from meshproxy.config.build_edits import build_edit
from meshproxy.config.build_endpoints import metadata_of
from meshproxy.config.build_matcher_tree import build_matcher_tree
from meshproxy.config.build_matchers import build_header_matchers
from meshproxy.config.build_mirrors import build_mirrors
from meshproxy.config.build_overrides import build_overrides, with_cors, with_outer
from meshproxy.config.build_plan import build_plan
from meshproxy.config.build_rate_limits import build_rate_limits
from meshproxy.config.build_route import build_route
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.route_scope import Scope, reject_specifiers
from meshproxy.config.view import View
from meshproxy.http.stream import Stream
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.deadlines import Deadlines
from meshproxy.routing.index import RouteIndex
from meshproxy.routing.path_match import PathMatch, fold_case
from meshproxy.routing.plan import Plan
from meshproxy.routing.redirect import Redirect
from meshproxy.routing.route import Route
from meshproxy.routing.stats import RequestStats, VirtualCluster
from meshproxy.routing.table import RouteTable, VirtualHost

_MAX_DIRECT_BODY = 4096
_ROUTE = "envoy.config.route.v3.Route"
_ROUTE_LIST = "envoy.config.route.v3.RouteList"
# The virtual cluster of requests that no other takes.
_OTHER = "other"


def build_route_table(view: View, ctx: Context, validate_clusters: bool = True) -> RouteTable:
    """A table whose routes have no hooks yet: `routing.overrides.specialise` gives them for a chain of filters.

    `validate_clusters`: whether unknown clusters are refused where the configuration does not say (True for tables
    that stand in a listener, False for those that come by RDS).
    """
    if view.vhds:
        view.reject("vhds", "virtual host discovery is not supported yet")
    reject_specifiers(view)
    deadlines = Deadlines(ctx.loop)
    scope = _table_scope(view, ctx, deadlines, view.get("validate_clusters", validate_clusters))
    scope.plan.mirrors = build_mirrors(view, scope)
    domains: dict[str, VirtualHost] = {}
    for host_view in view.virtual_hosts:
        with view.at("virtual_hosts", host_view.name):
            host = _build_host(host_view, scope)
            host.ignore_path_parameters = view.ignore_path_parameters_in_path_matching
            _add_domains(host_view, host, domains, view.name)
    table = RouteTable(
        view.name,
        domains,
        ignore_port=view.ignore_port_in_host_matching,
        host_header=fold_case(wire_text(view.vhost_header)),
    )
    table.metadata = metadata_of(view.metadata)
    table.internal_only_headers = frozenset(fold_case(wire_text(name)) for name in view.internal_only_headers)
    return table


def _add_domains(view: View, host: VirtualHost, domains: dict[str, VirtualHost], table: str) -> None:
    for i, text in enumerate(view.domains):
        with view.at("domains", i):
            domain = fold_case(wire_text(text))
            if domain in domains:
                raise ConfigError(
                    f"Only a single wildcard domain is permitted in route {table}"
                    if domain == "*"
                    else "Only unique values for domains are permitted. "
                    f"Duplicate entry of domain {domain} in route {table}"
                )
            domains[domain] = host


def _table_scope(view: View, ctx: Context, deadlines: Deadlines, validate_clusters: bool) -> Scope:
    max_body = view.get("max_direct_response_body_size_bytes", _MAX_DIRECT_BODY)
    return Scope(
        ctx=ctx,
        deadlines=deadlines,
        validate_clusters=validate_clusters,
        max_direct_body=max_body,
        most_specific_wins=view.most_specific_header_mutations_wins,
        host_name="",
        request_edits=(build_edit(view, "request"),),
        response_edits=(build_edit(view, "response"),),
        overrides=with_outer(build_overrides(view, ctx), ()),
        plan=Plan(ctx.runtime),
        attempt_count_in_request=False,
        attempt_count_in_response=False,
    )


def _build_host(view: View, table: Scope) -> VirtualHost:
    reject_specifiers(view)
    scope = replace(
        table,
        host_name=view.name,
        request_edits=(build_edit(view, "request"), *table.request_edits),
        response_edits=(build_edit(view, "response"), *table.response_edits),
        overrides=with_outer(with_cors(build_overrides(view, table.ctx), view, table.ctx), table.overrides),
        plan=replace(
            build_plan(view, view, table.plan, table.ctx),
            tell_timeout_retry=view.include_is_timeout_retry_header,
            mirrors=build_mirrors(view, table) or table.plan.mirrors,
        ),
        attempt_count_in_request=view.include_request_attempt_count,
        attempt_count_in_response=view.include_attempt_count_in_response,
    )
    entries = [] if view.matcher else _build_all(view, scope)
    chosen: list[Route] = []
    choose_index = _build_chooser(view, scope, chosen) if view.matcher else None
    host = VirtualHost(view.name, entries)
    host.choose_index = choose_index
    host.routes += tuple(chosen)
    for route in host.routes:
        route.virtual_host = host
        for choice in route.choices:
            choice.virtual_host = host
    host.metadata = metadata_of(view.metadata)
    host.rate_limits = build_rate_limits(view, table.ctx)
    host.virtual_clusters = _virtual_clusters(view, table.ctx)
    requirement = view.enum("require_tls")
    if requirement != "NONE":
        host.tls_redirect = Route(Redirect(scheme="https"))
        host.tls_redirect.virtual_host = host
        host.tls_external_only = requirement == "EXTERNAL_ONLY"
    return host


def _build_all(view: View, scope: Scope) -> list[tuple[PathMatch, Route]]:
    """The `routes` of a virtual host or of a RouteList."""
    entries = []
    for i, route in enumerate(view.routes):
        with view.at("routes", i):
            entries.append(build_route(route, scope))
            route.settle()
    return entries


def _build_chooser(view: View, scope: Scope, found: list[Route]) -> Callable[[Stream], RouteIndex | None]:
    """The matcher of a virtual host, whose actions are routes or lists of routes; all of them are added to `found`."""
    if view.routes:
        raise ConfigError("cannot set both matcher and routes on virtual host")
    # Envoy does not look for their clusters.
    scope = replace(scope, validate_clusters=False)

    def build_action(action: View) -> RouteIndex:
        config = typed_config(action, _ROUTE, _ROUTE_LIST)
        entries = [build_route(config, scope)] if config.type_name == _ROUTE else _build_all(config, scope)
        found.extend(route for _, route in entries)
        return RouteIndex(entries)

    with view.at("matcher"):
        return build_matcher_tree(view.matcher, scope.ctx, build_action)


def _virtual_clusters(view: View, ctx: Context) -> tuple[VirtualCluster, ...]:
    """Those configured, and one that counts what they leave."""
    found = []
    for i, cluster in enumerate(view.virtual_clusters):
        with view.at("virtual_clusters", i):
            if not cluster.headers:
                raise ConfigError("virtual clusters must define 'headers'")
            found.append(VirtualCluster(cluster.name, build_header_matchers(cluster.headers, ctx), RequestStats()))
    if found:
        found.append(VirtualCluster(None, lambda _headers: True, RequestStats()))
    for each in found:
        ctx.stats.add(f"vhost.{view.name}.vcluster.{each.name or _OTHER}", each.stats)
    return tuple(found)
