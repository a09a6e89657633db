"""/config_dump: everything that is configured, in Envoy's typed sections, secrets redacted."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import re2

from meshproxy.admin.field_mask import apply_mask, parse_mask
from meshproxy.admin.listeners import address_tree
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.plain import dump, plain
from meshproxy.admin.server_info import node
from meshproxy.admin.server_view import Server
from meshproxy.config.packed import unpack
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint

_TYPE = "type.googleapis.com/"
_ADMIN = f"{_TYPE}envoy.admin.v3."
_HTTP = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_PLAIN = "text/plain"

Tree = dict[str, Any]
# The name in a section's list -> the message that one entry is.
_ENTRIES = {
    "static_clusters": "ClustersConfigDump.StaticCluster",
    "dynamic_active_clusters": "ClustersConfigDump.DynamicCluster",
    "dynamic_warming_clusters": "ClustersConfigDump.DynamicCluster",
    "static_listeners": "ListenersConfigDump.StaticListener",
    "dynamic_listeners": "ListenersConfigDump.DynamicListener",
    "static_route_configs": "RoutesConfigDump.StaticRouteConfig",
    "dynamic_route_configs": "RoutesConfigDump.DynamicRouteConfig",
    "inline_scoped_route_configs": "ScopedRoutesConfigDump.InlineScopedRouteConfigs",
    "dynamic_scoped_route_configs": "ScopedRoutesConfigDump.DynamicScopedRouteConfigs",
    "static_secrets": "SecretsConfigDump.StaticSecret",
    "dynamic_active_secrets": "SecretsConfigDump.DynamicSecret",
    "dynamic_warming_secrets": "SecretsConfigDump.DynamicSecret",
    "static_endpoint_configs": "EndpointsConfigDump.StaticEndpointConfig",
    "dynamic_endpoint_configs": "EndpointsConfigDump.DynamicEndpointConfig",
}


@page(
    "/config_dump",
    "dump current Envoy configs",
    ("resource", "The resource to dump"),
    (
        "mask",
        "The mask to apply. When both resource and mask are specified, the mask is applied to every element in the "
        "desired repeated field so that only a subset of fields are returned. The mask is parsed as a "
        "Protobuf::FieldMask",
    ),
    (
        "name_regex",
        "Dump only the currently loaded configurations whose names match the specified regex. Can be used with both "
        "resource and mask query parameters.",
    ),
    (
        "include_eds",
        "Dump currently loaded configuration including EDS. See the response definition for more information",
    ),
)
def config_dump(server: Server, request: Request) -> Answer:
    pattern = request.query.get("name_regex", "")
    try:
        named = _named(pattern)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        return Answer(f"INVALID_ARGUMENT: Error while parsing name_regex from {pattern}: {reason}", 400, _PLAIN)
    sections = list(_sections(server, request.flag("include_eds"), named))
    mask = request.query.get("mask", "")
    resource = request.query.get("resource", "")
    if resource:
        return _resource(sections, resource, mask)
    if mask:
        paths = parse_mask(mask)
        masked = [apply_mask(section, paths) for section in sections]
        sections = [section for section in masked if len(section) > 1]
        if not sections:
            return Answer(f"FieldMask {mask} could not be successfully applied to any configs.", 400, _PLAIN)
    return Answer(dump({"configs": sections}), content_type=JSON)


def _resource(sections: list[Tree], resource: str, mask: str) -> Answer:
    if resource not in _ENTRIES:
        return Answer(f"{resource} not found in config dump", 404, _PLAIN)
    entries = [entry for section in sections for entry in section.get(resource, ())]
    typed = [{"@type": _ADMIN + _ENTRIES[resource], **entry} for entry in entries]
    if mask:
        paths = parse_mask(mask)
        typed = [apply_mask(entry, paths) for entry in typed]
    return Answer(dump({"configs": typed} if typed else {}), content_type=JSON)


def _named(pattern: str) -> Callable[[str], bool]:
    if not pattern:
        return lambda _name: True
    options = re2.Options()
    options.log_errors = False
    match = re2.compile(pattern, options).fullmatch
    return lambda name: match(name) is not None


def _sections(server: Server, include_eds: bool, named: Callable[[str], bool]) -> Iterator[Tree]:
    updated = _timestamp(server.started)
    static = server.bootstrap.static_resources
    bootstrap = {**plain(server.bootstrap), "node": node(server)}
    yield {"@type": f"{_ADMIN}BootstrapConfigDump", "bootstrap": bootstrap, "last_updated": updated}
    clusters = sorted((each for each in static.clusters if named(each.name)), key=lambda each: each.name)
    yield _section("ClustersConfigDump", "static_clusters", "cluster", clusters, updated)
    if include_eds:
        found = [cluster for cluster in server.ctx.clusters if named(cluster.name)]
        configs = [{"endpoint_config": _endpoints(cluster)} for cluster in sorted(found, key=lambda each: each.name)]
        yield {"@type": f"{_ADMIN}EndpointsConfigDump", **_unless_empty("static_endpoint_configs", configs)}
    listeners = [each for each in static.listeners if named(each.name)]
    yield _section("ListenersConfigDump", "static_listeners", "listener", listeners, updated)
    yield {"@type": f"{_ADMIN}ScopedRoutesConfigDump"}
    routes = [each for each in _inline_routes(static.listeners) if named(each.name)]
    yield _section("RoutesConfigDump", "static_route_configs", "route_config", routes, updated)
    secrets = [
        {"name": each.name, "last_updated": updated, "secret": _typed(each)}
        for each in static.secrets
        if named(each.name)
    ]
    yield {"@type": f"{_ADMIN}SecretsConfigDump", **_unless_empty("static_secrets", secrets)}


def _section(kind: str, name: str, field: str, messages: list[Any], updated: str) -> Tree:
    entries = [{field: _typed(each), "last_updated": updated} for each in messages]
    return {"@type": _ADMIN + kind, **_unless_empty(name, entries)}


def _unless_empty(name: str, entries: list[Any]) -> Tree:
    return {name: entries} if entries else {}


def _typed(message: Any) -> Tree:
    return {"@type": _TYPE + message.DESCRIPTOR.full_name, **plain(message)}


def _inline_routes(listeners: Any) -> Iterator[Any]:
    """The route tables that stand in the listeners' HTTP connection managers."""
    for listener in listeners:
        chains = [*listener.filter_chains, listener.default_filter_chain]
        for each in (each for chain in chains for each in chain.filters):
            if each.typed_config.type_url.rpartition("/")[2] == _HTTP:
                manager = unpack(each.typed_config)
                if manager.HasField("route_config"):
                    yield manager.route_config


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03}Z"


def _endpoints(cluster: Cluster) -> Tree:
    """What is known of a cluster's endpoints, as a ClusterLoadAssignment."""
    groups: dict[tuple[int, tuple[str, str, str]], list[Endpoint]] = {}
    for endpoint in cluster.endpoints:
        groups.setdefault((endpoint.priority, endpoint.locality), []).append(endpoint)
    assignment = []
    for (priority, locality), endpoints in groups.items():
        names = zip(("region", "zone", "sub_zone"), locality, strict=True)
        group: Tree = {
            "locality": {name: value for name, value in names if value},
            "lb_endpoints": [_endpoint(each) for each in endpoints],
            "load_balancing_weight": endpoints[0].locality_weight,
        }
        if priority:
            group["priority"] = priority
        assignment.append(group)
    return {
        "@type": f"{_TYPE}envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster.name,
        **_unless_empty("endpoints", assignment),
        "policy": {"overprovisioning_factor": 140},
    }


def _endpoint(endpoint: Endpoint) -> Tree:
    where: Tree = {"address": address_tree(endpoint.address), "health_check_config": {}}
    if endpoint.hostname:
        where["hostname"] = endpoint.hostname
    metadata = {"filter_metadata": endpoint.metadata} if endpoint.metadata else {}
    tree: Tree = {"endpoint": where, "health_status": "HEALTHY" if endpoint.healthy else "UNHEALTHY"}
    if metadata:
        tree["metadata"] = metadata
    return {**tree, "load_balancing_weight": endpoint.weight}
