"""A line of JSON for what health checks find (envoy.data.core.v3.HealthCheckEvent)."""

import json
import time
from collections.abc import Callable
from typing import Any

from meshproxy.upstream.endpoint import Address, Endpoint

Write = Callable[[str], None]
Event = dict[str, Any]

# The fields in the order of their numbers, which is that of Envoy's JSON.
_ORDER = (
    "health_checker_type", "host", "cluster_name", "eject_unhealthy_event", "add_healthy_event", "timestamp",
    "health_check_failure_event", "degraded_healthy_host", "no_longer_degraded_host", "metadata", "locality",
    "successful_health_check_event",
)  # fmt: skip


class HealthEvents:
    """writes: where the lines go; kind: HTTP, TCP or GRPC."""

    def __init__(self, cluster_name: str, kind: str, writes: tuple[Write, ...]) -> None:
        self._cluster_name = cluster_name
        self._kind = kind
        self._writes = writes

    def write(self, endpoint: Endpoint, name: str, content: Event) -> None:
        event: Event = {
            "health_checker_type": self._kind,
            "host": address_tree(endpoint.address),
            "cluster_name": self._cluster_name,
            "timestamp": timestamp(time.time()),
            name: content,
        }
        if endpoint.metadata:
            event["metadata"] = {"filter_metadata": endpoint.metadata, "typed_filter_metadata": {}}
        region, zone, sub_zone = endpoint.locality
        event["locality"] = {"region": region, "zone": zone, "sub_zone": sub_zone}
        line = to_line({field: event[field] for field in _ORDER if field in event})
        for write in self._writes:
            write(line)


def to_line(tree: Event) -> str:
    """Its bytes, one character each."""
    text = json.dumps(tree, separators=(",", ":"), ensure_ascii=False)
    return text.encode().decode("latin-1") + "\n"


def timestamp(now: float) -> str:
    """As protobuf's JSON has it, to the millisecond: without a fraction where that is 0."""
    milliseconds = int(now * 1000)
    whole, rest = divmod(milliseconds, 1000)
    fraction = f".{rest:03}" if rest else ""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}{fraction}Z"


def address_tree(address: Address) -> Event:
    host, port = address
    if not port:
        return {"pipe": {"path": host, "mode": 0}}
    return {
        "socket_address": {
            "protocol": "TCP", "address": host, "port_value": port, "resolver_name": "", "ipv4_compat": False,
            "network_namespace_filepath": "",
        }
    }  # fmt: skip
