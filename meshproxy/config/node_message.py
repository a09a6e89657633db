"""Who we are, as services are told it (envoy.config.core.v3.Node)."""

from typing import Any

from meshproxy import __version__
from meshproxy.config.context import Node
from meshproxy.config.types import message_class


def node_message(node: Node) -> Any:
    message = message_class("envoy.config.core.v3.Node")(id=node.id, cluster=node.cluster)
    if node.metadata:
        message.metadata.update(node.metadata)
    if node.region or node.zone or node.sub_zone:
        message.locality.region, message.locality.zone = node.region, node.zone
        message.locality.sub_zone = node.sub_zone
    message.user_agent_name = "meshproxy"
    numbers = [int(part) if part.isascii() and part.isdigit() else 0 for part in __version__.split(".")]
    version = message.user_agent_build_version.version
    version.major_number, version.minor_number, version.patch = (*numbers, 0, 0, 0)[:3]
    return message
