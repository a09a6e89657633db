"""/config_dump: everything that is configured, in Envoy's typed sections, secrets redacted."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import re2

from meshproxy.admin.config_sections import (
    ADMIN,
    TYPE,
    Resource,
    Section,
    Tree,
    clusters_section,
    listeners_section,
    routes_section,
    secrets_section,
    timestamp,
)
from meshproxy.admin.field_mask import Mask, apply_mask, fits, parse_mask
from meshproxy.admin.json_page import dump
from meshproxy.admin.listeners import address_tree
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.plain import plain
from meshproxy.admin.server_info import node
from meshproxy.admin.server_view import Server
from meshproxy.config.packed import unpack
from meshproxy.config.types import message_class, type_name
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint

_HTTP = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ANY = "google.protobuf.Any"
_TEXT = "text/plain"
# In front of a refusal's content type, as in Envoy.
_NOSNIFF = [("x-content-type-options", "nosniff")]


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
        return Answer(f"INVALID_ARGUMENT: Error while parsing name_regex from {pattern}: {reason}", 400, _TEXT)
    sections = _sections(server, request.flag("include_eds"), named)
    mask = request.query.get("mask", "")
    resource = request.query.get("resource", "")
    if resource:
        return _resource(sections, resource, mask)
    trees = [section.tree() for section in sections]
    if mask:
        wanted = parse_mask(mask)
        fitting = [section for section in sections if fits(wanted, _descriptor(section.kind))]
        if not fitting:
            return _refuse(400, f"FieldMask {mask} could not be successfully applied to any configs.")
        trees = [apply_mask(section.tree(), wanted) for section in fitting]
    return Answer(dump({"configs": trees}), content_type=JSON)


def _resource(sections: list[Section], resource: str, mask: str) -> Answer:
    """The entries of one list, each with its type."""
    for section in sections:
        field = _descriptor(section.kind).fields_by_name.get(resource)
        if field is None:
            continue
        if not field.is_repeated:
            how = f"Use ?mask={resource} to get only this field"
            return _refuse(400, f"{resource} is not a repeated field. {how}")
        entries = section.lists.get(resource, iter(()))
        if mask and (first := next(entries, None)) is not None:
            wanted = parse_mask(mask)
            if not _fits_entry(wanted, field.message_type, first):
                paths = "".join([f'paths: "{path}"\n' for path in mask.split(",")])
                return _refuse(400, f"FieldMask {paths} could not be successfully used.")
            entries = (apply_mask(each, wanted) for each in itertools.chain([first], entries))
        kind = f"{TYPE}{field.message_type.full_name}"
        configs = [{"@type": kind, **each} for each in entries]
        return Answer(dump({"configs": configs} if configs else {}), content_type=JSON)
    return _refuse(404, f"{resource} not found in config dump")


def _fits_entry(wanted: Mask, descriptor: Any, entry: Tree) -> bool:
    """Whether the mask is one for such entries; what an entry holds has a type of its own."""
    for name, below in wanted.items():
        field = descriptor.fields_by_name.get(name)
        packed = field is not None and not field.is_repeated and getattr(field.message_type, "full_name", "") == _ANY
        if packed:
            # A mask that stops in front of what is packed counts as none to Envoy.
            fit = bool(below) and fits(below, message_class(type_name(entry[name]["@type"])).DESCRIPTOR)
        else:
            fit = fits({name: below}, descriptor)
        if not fit:
            return False
    return True


def _refuse(status: int, why: str) -> Answer:
    return Answer(why, status, _TEXT, _NOSNIFF)


def _descriptor(kind: str) -> Any:
    return message_class(ADMIN + kind).DESCRIPTOR


def _named(pattern: str) -> Callable[[str], bool]:
    if not pattern:
        return lambda _name: True
    options = re2.Options()
    options.log_errors = False
    match = re2.compile(pattern, options).fullmatch
    return lambda name: match(name) is not None


def _sections(server: Server, include_eds: bool, named: Callable[[str], bool]) -> list[Section]:
    """In Envoy's order, which is that of names which nobody sees."""
    static = server.bootstrap.static_resources

    def resources(messages: Iterable[Any]) -> list[Resource]:
        return [Resource(each, server.started) for each in messages if named(each.name)]

    return [
        _bootstrap(server),
        clusters_section(resources(static.clusters)),
        *([_endpoints_section(server, named)] if include_eds else []),
        listeners_section(resources(static.listeners)),
        Section("ScopedRoutesConfigDump", {}, {}),
        routes_section(resources(inline_routes(static.listeners))),
        secrets_section(resources(static.secrets)),
    ]


def _bootstrap(server: Server) -> Section:
    loaded = plain(server.bootstrap)
    loaded.pop("node", None)
    bootstrap = {"node": plain(node(server)), **loaded}
    return Section("BootstrapConfigDump", {"bootstrap": bootstrap, "last_updated": timestamp(server.started)}, {})


def inline_routes(listeners: Any) -> Iterator[Any]:
    """The route tables that stand in the listeners' HTTP connection managers."""
    for listener in listeners:
        chains = [*listener.filter_chains, listener.default_filter_chain]
        for each in (each for chain in chains for each in chain.filters):
            if each.typed_config.type_url.rpartition("/")[2] == _HTTP:
                manager = unpack(each.typed_config)
                if manager.HasField("route_config"):
                    yield manager.route_config


def _endpoints_section(server: Server, named: Callable[[str], bool]) -> Section:
    found = sorted((each for each in server.ctx.clusters if named(each.name)), key=lambda each: each.name)
    configs = ({"endpoint_config": _endpoints(cluster)} for cluster in found)
    return Section("EndpointsConfigDump", {}, {"static_endpoint_configs": configs} if found else {})


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
            "lb_endpoints": (_endpoint(each, cluster.discovery is not None) for each in endpoints),
            "load_balancing_weight": endpoints[0].locality_weight,
        }
        if priority:
            group["priority"] = priority
        assignment.append(group)
    return {
        "@type": f"{TYPE}envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster.name,
        **({"endpoints": assignment} if assignment else {}),
        "policy": {"overprovisioning_factor": 140},
    }


def _endpoint(endpoint: Endpoint, resolved: bool) -> Tree:
    """`resolved`: from a name. Such an endpoint has metadata, even if there is nothing in it."""
    where: Tree = {"address": address_tree(endpoint.address), "health_check_config": {}}
    if endpoint.hostname:
        where["hostname"] = endpoint.hostname
    tree: Tree = {"endpoint": where, "health_status": "HEALTHY" if endpoint.healthy else "UNHEALTHY"}
    if endpoint.metadata:
        tree["metadata"] = {"filter_metadata": endpoint.metadata}
    elif resolved:
        tree["metadata"] = {}
    return {**tree, "load_balancing_weight": endpoint.weight}
