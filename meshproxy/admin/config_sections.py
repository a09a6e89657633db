"""The sections of /config_dump: what is configured, by kind and by whence it came (envoy.admin.v3.ConfigDump)."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from meshproxy.admin.plain import plain

TYPE = "type.googleapis.com/"
ADMIN = "envoy.admin.v3."

Tree = dict[str, Any]
# `static`: of the bootstrap. Of what a server sends: in use, waiting for what it needs, waiting for its connections to
# end, or refused (`error`: no other version of it is in use).
State = Literal["static", "active", "warming", "draining", "error"]


class Refusal(NamedTuple):
    """A version of a resource that could not be used. `message`: what was sent, None where that was not even read."""

    details: str
    attempted: float
    version: str = ""
    message: Any = None


class Resource(NamedTuple):
    """A configured resource. `updated`: wall clock, seconds; `refusal`: of a newer version than this one."""

    message: Any
    updated: float
    state: State = "static"
    version: str = ""
    refusal: Refusal | None = None


class Section(NamedTuple):
    """One entry of `configs`: its message, the fields in front, and its lists by name, made while they are written."""

    kind: str
    first: Tree
    lists: Mapping[str, Iterator[Tree]]

    def tree(self) -> Tree:
        return {"@type": f"{TYPE}{ADMIN}{self.kind}", **self.first, **self.lists}


# By state: the list in which a section has its resources.
_CLUSTERS = {
    "static": "static_clusters", "active": "dynamic_active_clusters", "warming": "dynamic_warming_clusters",
}  # fmt: skip
_ROUTES = {"active": "dynamic_route_configs"}
# Secrets stand by what they are, whatever their names.
_SECRET_KINDS = (None, "tls_certificate", "validation_context", "session_ticket_keys", "generic_secret")
_SECRETS = {"static": "static_secrets", "active": "dynamic_active_secrets", "warming": "dynamic_warming_secrets"}


def clusters_section(resources: Iterable[Resource], version: str = "") -> Section:
    """`version`: of the last answer of a discovery server."""
    ordered = sorted(resources, key=lambda each: each.message.name)
    lists = _by_state(_CLUSTERS, ordered, lambda each: _entry("cluster", each))
    return Section("ClustersConfigDump", _version(version), lists)


def routes_section(static: Iterator[Resource], dynamic: Iterable[Resource] = ()) -> Section:
    """`static` tables have to be unpacked out of listeners, and are while they are written."""
    lists = _by_state(_ROUTES, dynamic, _route)
    if (first := next(static, None)) is not None:
        lists = {"static_route_configs": map(_route, itertools.chain([first], static)), **lists}
    return Section("RoutesConfigDump", {}, lists)


def _route(resource: Resource) -> Tree:
    return _entry("route_config", resource)


def secrets_section(resources: Iterable[Resource]) -> Section:
    ordered = sorted(resources, key=lambda each: _SECRET_KINDS.index(each.message.WhichOneof("type")))
    return Section("SecretsConfigDump", {}, _by_state(_SECRETS, ordered, _secret))


def listeners_section(resources: Iterable[Resource], version: str = "") -> Section:
    """A listener that a server sent is one entry with up to four states."""
    static: list[Resource] = []
    dynamic: dict[str, list[Resource]] = {}
    for each in resources:
        if each.state == "static":
            static.append(each)
        else:
            dynamic.setdefault(each.message.name, []).append(each)
    lists = {
        **_unless_empty("static_listeners", static, lambda each: _entry("listener", each)),
        **_unless_empty("dynamic_listeners", dynamic.items(), lambda item: _dynamic_listener(*item)),
    }
    return Section("ListenersConfigDump", _version(version), lists)


def _by_state(
    names: dict[str, str], resources: Iterable[Resource], show: Callable[[Resource], Tree]
) -> dict[str, Iterator[Tree]]:
    found: dict[str, list[Resource]] = {name: [] for name in names.values()}
    for each in resources:
        found[names[each.state]].append(each)
    return {name: map(show, items) for name, items in found.items() if items}


def _unless_empty(name: str, items: Any, show: Callable[[Any], Tree]) -> dict[str, Iterator[Tree]]:
    return {name: map(show, items)} if items else {}


def _entry(field: str, resource: Resource) -> Tree:
    tree = {
        **_version(resource.version), field: typed(resource.message), "last_updated": timestamp(resource.updated),
    }  # fmt: skip
    return _with_refusal(tree, resource)


def _secret(resource: Resource) -> Tree:
    """Nobody asks when a secret of the bootstrap was updated."""
    tree: Tree = {"name": resource.message.name, **_version(resource.version)}
    if resource.state != "static":
        tree["last_updated"] = timestamp(resource.updated)
    return _with_refusal({**tree, "secret": typed(resource.message)}, resource)


def _with_refusal(tree: Tree, resource: Resource) -> Tree:
    return tree if resource.refusal is None else {**tree, "error_state": _refused(resource.refusal)}


def _dynamic_listener(name: str, resources: list[Resource]) -> Tree:
    tree: Tree = {"name": name}
    by_state = {each.state: each for each in resources}
    for state in ("active", "warming", "draining"):
        if (each := by_state.get(state)) is not None:
            tree[f"{state}_state"] = {
                **_version(each.version), "listener": typed(each.message), "last_updated": timestamp(each.updated),
            }  # fmt: skip
    refusal = next((each.refusal for each in resources if each.refusal is not None), None)
    if refusal is not None:
        tree["error_state"] = _refused(refusal)
    return tree


def _refused(refusal: Refusal) -> Tree:
    """An envoy.admin.v3.UpdateFailureState."""
    return {
        **({"failed_configuration": typed(refusal.message)} if refusal.message is not None else {}),
        "last_update_attempt": timestamp(refusal.attempted),
        "details": refusal.details,
        **_version(refusal.version),
    }


def _version(version: str) -> Tree:
    return {"version_info": version} if version else {}


def typed(message: Any) -> Tree:
    """As JSON shows an Any with this message in it."""
    return {"@type": TYPE + message.DESCRIPTOR.full_name, **plain(message)}


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03}Z"
