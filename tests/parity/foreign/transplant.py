"""A configuration that can run here: listeners on free ports of this machine, endpoints all the same server."""

from collections.abc import Iterator
from typing import Any

from google.protobuf import json_format

from meshproxy.config import source
from meshproxy.config.api import api_pool
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse

BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap"
Tree = dict[str, Any]
_HERE: Tree = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}


def load(path: str) -> Tree:
    """The bootstrap at `path` under the names of the protos; ConfigError where it is none."""
    message, problems = parse(source.read(path).tree, BOOTSTRAP, allow_unknown=True)
    wrong = [str(problem) for problem in problems if problem.severity == "error"]
    if wrong:
        raise ConfigError("; ".join(wrong))
    tree: Tree = json_format.MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=api_pool())
    return tree


def transplant(tree: Tree, upstream: int) -> dict[str, list[Tree]]:
    """Changes `tree` so that it runs here, with every endpoint at port `upstream`.

    Returns the virtual hosts behind each listener that TCP reaches, by its name.
    """
    tree["admin"] = {"address": _HERE}
    resources = tree.setdefault("static_resources", {})
    for cluster in resources.get("clusters", ()):
        if cluster.get("type") in ("STRICT_DNS", "LOGICAL_DNS"):
            cluster["type"] = "STATIC"
        for node in _nodes(cluster.get("load_assignment", {})):
            if "socket_address" in node:
                node["socket_address"].update(address="127.0.0.1", port_value=upstream)
    entries = {}
    for i, listener in enumerate(resources.get("listeners", ())):
        if "socket_address" not in listener.get("address", {}) or _is_udp(listener):
            continue
        listener.update(name=listener.get("name") or f"listener_{i}", address=_HERE)
        listener.pop("additional_addresses", None)
        entries[listener["name"]] = [
            host for node in _nodes(listener) for host in node.get("route_config", {}).get("virtual_hosts", ())
        ]
    return entries


def _is_udp(listener: Tree) -> bool:
    return bool(listener["address"]["socket_address"].get("protocol", "TCP") == "UDP")


def _nodes(node: Any) -> Iterator[Tree]:
    """Every mapping in `node`, at any depth."""
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _nodes(child)
