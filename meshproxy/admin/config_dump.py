"""/config_dump: everything that is configured, in Envoy's typed sections, secrets redacted."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

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
from meshproxy.admin.endpoints_section import ENDPOINTS, endpoints_section
from meshproxy.admin.field_mask import Mask, apply_mask, field_named, fits, parse_mask
from meshproxy.admin.json_page import dump
from meshproxy.admin.name_pattern import name_pattern
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.plain import plain
from meshproxy.admin.server_info import node
from meshproxy.admin.server_view import Server
from meshproxy.config.packed import unpack
from meshproxy.config.types import message_class, type_name

_HTTP = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
Named = Callable[[str], bool]
# By kind, made when they are written.
Sections = dict[str, Callable[[], Section]]

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
        named = name_pattern(pattern, whole=True)
    except ValueError as error:
        return Answer(f"INVALID_ARGUMENT: Error while parsing name_regex from {pattern}: {error}", 400, _TEXT)
    sections: Sections = {kind: partial(build, server, named) for kind, build in _BUILDERS.items()}
    if not request.flag("include_eds"):
        del sections[ENDPOINTS]
    mask = request.query.get("mask", "")
    resource = request.query.get("resource", "")
    if resource:
        return _resource(sections, resource, mask)
    wanted = parse_mask(mask)
    fitting = [build for kind, build in sections.items() if fits(wanted, _descriptor(kind))]
    if not fitting:
        return _refuse(400, f"FieldMask {mask} could not be successfully applied to any configs.")
    return Answer(dump({"configs": (apply_mask(build().tree(), wanted) for build in fitting)}), content_type=JSON)


def _resource(sections: Sections, resource: str, mask: str) -> Answer:
    """The entries of one list, each with its type."""
    for kind, build in sections.items():
        field = field_named(_descriptor(kind), resource)
        if field is None:
            continue
        if not field.is_repeated:
            how = f"Use ?mask={resource} to get only this field"
            return _refuse(400, f"{resource} is not a repeated field. {how}")
        return _entries(build().lists.get(resource, iter(())), field.message_type, mask)
    return _refuse(404, f"{resource} not found in config dump")


def _entries(entries: Iterator[Tree], descriptor: Any, mask: str) -> Answer:
    first = next(entries, None)
    if first is None:
        return Answer(dump({}), content_type=JSON)
    wanted = parse_mask(mask)
    if not _fits_entry(wanted, descriptor, first):
        paths = "".join([f'paths: "{path}"\n' for path in mask.split(",")])
        return _refuse(400, f"FieldMask {paths} could not be successfully used.")
    kind = {"@type": f"{TYPE}{descriptor.full_name}"}
    configs = ({**kind, **apply_mask(each, wanted)} for each in itertools.chain([first], entries))
    return Answer(dump({"configs": configs}), content_type=JSON)


def _fits_entry(wanted: Mask, descriptor: Any, entry: Tree) -> bool:
    """Whether the mask is one for such entries; what an entry holds has a type of its own."""
    for name, below in wanted.items():
        field = field_named(descriptor, name)
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


def _resources(server: Server, messages: Iterable[Any], named: Named) -> Iterator[Resource]:
    return (Resource(each, server.started) for each in messages if named(each.name))


def _bootstrap(server: Server, _named: Named) -> Section:
    loaded = plain(server.bootstrap)
    loaded.pop("node", None)
    bootstrap = {"node": plain(node(server)), **loaded}
    return Section("BootstrapConfigDump", {"bootstrap": bootstrap, "last_updated": timestamp(server.started)}, {})


def _clusters(server: Server, named: Named) -> Section:
    return clusters_section(_resources(server, server.bootstrap.static_resources.clusters, named))


def _listeners(server: Server, named: Named) -> Section:
    return listeners_section(_resources(server, server.bootstrap.static_resources.listeners, named))


def _routes(server: Server, named: Named) -> Section:
    tables = inline_routes(server.bootstrap.static_resources.listeners)
    return routes_section(_resources(server, tables, named))


def _secrets(server: Server, named: Named) -> Section:
    return secrets_section(_resources(server, server.bootstrap.static_resources.secrets, named))


def inline_routes(listeners: Any) -> Iterator[Any]:
    """The route tables that stand in the listeners' HTTP connection managers."""
    for listener in listeners:
        chains = [*listener.filter_chains, listener.default_filter_chain]
        for each in (each for chain in chains for each in chain.filters):
            if each.typed_config.type_url.rpartition("/")[2] == _HTTP:
                manager = unpack(each.typed_config)
                if manager.HasField("route_config"):
                    yield manager.route_config


def _endpoints(server: Server, named: Named) -> Section:
    return endpoints_section(each for each in server.ctx.clusters if named(each.name))


# In Envoy's order.
_BUILDERS: dict[str, Callable[[Server, Named], Section]] = {
    "BootstrapConfigDump": _bootstrap,
    "ClustersConfigDump": _clusters,
    ENDPOINTS: _endpoints,
    "ListenersConfigDump": _listeners,
    "ScopedRoutesConfigDump": lambda _server, _named: Section("ScopedRoutesConfigDump", {}, {}),
    "RoutesConfigDump": _routes,
    "SecretsConfigDump": _secrets,
}
