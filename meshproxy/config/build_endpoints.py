"""A cluster's endpoints (envoy.config.endpoint.v3.ClusterLoadAssignment)."""

from collections.abc import Iterator
from typing import Any

from meshproxy.config.build_addresses import Address, is_ip, pipe_address, socket_address
from meshproxy.config.errors import ConfigError
from meshproxy.config.structs import wire_struct
from meshproxy.config.view import View
from meshproxy.observe.json_text import wire_text
from meshproxy.upstream.endpoint import (
    DEGRADED_EDS_HEALTH,
    EDS_STATUS_DRAINING,
    FAILED_EDS_HEALTH,
    Checking,
    Endpoint,
    Locality,
)

_HEALTH = {
    "UNHEALTHY": FAILED_EDS_HEALTH, "TIMEOUT": FAILED_EDS_HEALTH, "DRAINING": EDS_STATUS_DRAINING,
    "DEGRADED": DEGRADED_EDS_HEALTH,
}  # fmt: skip


def build_endpoints(assignment: View) -> list[Endpoint]:
    """Endpoints in the order of the configuration. Hosts that are names stay names: discovery resolves them."""
    return list(each_endpoint(assignment))


def each_endpoint(assignment: View) -> Iterator[Endpoint]:
    """One after the other (60 µs each), for `Cluster.change_endpoints` to take them while others have their turns."""
    if assignment.named_endpoints:
        assignment.reject("named_endpoints", "named endpoints are not supported")
    # The cluster's own name, or the name that EDS asks for: either way the caller knows it.
    _ = assignment.cluster_name
    for group in assignment.endpoints:
        yield from _each_of(group)


def _each_of(group: View) -> Iterator[Endpoint]:
    if group.has("leds_cluster_locality_config"):
        group.reject("leds_cluster_locality_config", "LEDS is not supported")
    if group.has("load_balancer_endpoints"):
        group.reject("load_balancer_endpoints", "LEDS is not supported")
    group.ignore("proximity", why="Envoy does not read it either")
    group.ignore("metadata", why="nothing here matches on a locality's metadata")
    where = group.locality
    locality: Locality = (where.region, where.zone, where.sub_zone)
    weight = group.get("load_balancing_weight", 0)
    for view in group.lb_endpoints:
        endpoint = _build_endpoint(view, group.priority, locality)
        endpoint.locality_weight = weight
        yield endpoint


def _build_endpoint(view: View, priority: int, locality: Locality) -> Endpoint:
    if view.which("host_identifier") != "endpoint":
        view.reject("endpoint_name", "named endpoints are not supported")
    inner = view.endpoint
    if inner.additional_addresses:
        inner.reject("additional_addresses", "several addresses of one endpoint are not supported yet")
    weight = view.get("load_balancing_weight", 1)
    metadata = metadata_of(view.metadata)
    endpoint = Endpoint(endpoint_address(inner.address), inner.hostname, weight, priority, locality, metadata)
    health = view.enum("health_status")
    if health in _HEALTH:
        endpoint.set_health((_HEALTH[health],))
    if inner.has("health_check_config"):
        with inner.at("health_check_config"):
            endpoint.checking = _checking(inner.health_check_config, endpoint)
    return endpoint


def _checking(view: View, endpoint: Endpoint) -> Checking:
    address = None
    if view.has("address"):
        with view.at("address"):
            address = endpoint_address(view.address)
            if address[1] and not is_ip(address[0]):
                raise ConfigError(f"malformed IP address: {address[0]}")
    if view.port_value and not (address or endpoint.address)[1]:
        raise ConfigError("Invalid host configuration: non-zero port for non-IP address")
    return Checking(address, view.port_value, view.hostname, view.disable_active_health_check)


def endpoint_address(view: View) -> Address:
    kind = view.which("address")
    if kind == "pipe":
        return pipe_address(view.pipe)
    if kind != "socket_address":
        raise ConfigError("an endpoint's address has to be a socket_address or a pipe")
    return socket_address(view.socket_address)


def metadata_of(view: View) -> dict[str, Any]:
    """`filter_metadata` as plain values by namespace."""
    if not view:
        return {}
    view.ignore("typed_filter_metadata", why="no extension here reads typed metadata")
    return {wire_text(namespace): wire_struct(value.take()) for namespace, value in view.filter_metadata.items()}
