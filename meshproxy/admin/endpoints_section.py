"""The section of /config_dump that says which endpoints are known (include_eds)."""

from collections.abc import Iterable

from meshproxy.admin.config_sections import TYPE, Section, Tree
from meshproxy.admin.listeners import address_tree
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint

ENDPOINTS = "EndpointsConfigDump"
_LISTS = ("static_endpoint_configs", "dynamic_endpoint_configs")


def endpoints_section(clusters: Iterable[Cluster]) -> Section:
    """By whether the cluster is of the bootstrap or was sent; by name."""
    static: list[Cluster] = []
    dynamic: list[Cluster] = []
    for each in sorted(clusters, key=lambda each: each.name):
        (dynamic if each.added_via_api else static).append(each)
    lists = {name: map(_config, found) for name, found in zip(_LISTS, (static, dynamic), strict=True) if found}
    return Section(ENDPOINTS, {}, lists)


def _config(cluster: Cluster) -> Tree:
    return {"endpoint_config": _endpoints(cluster)}


def _endpoints(cluster: Cluster) -> Tree:
    """What is known of a cluster's endpoints, as a ClusterLoadAssignment."""
    groups: dict[tuple[int, tuple[str, str, str]], list[Endpoint]] = {}
    for endpoint in cluster.endpoints:
        groups.setdefault((endpoint.priority, endpoint.locality), []).append(endpoint)
    assignment = []
    for (priority, locality), endpoints in sorted(groups.items(), key=lambda item: item[0]):
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
        "policy": {"overprovisioning_factor": cluster.overprovisioning},
    }


def _endpoint(endpoint: Endpoint, resolved: bool) -> Tree:
    """`resolved`: from a name. Such an endpoint has metadata, even if there is nothing in it."""
    where: Tree = {"address": address_tree(endpoint.address), "health_check_config": {}}
    if endpoint.hostname:
        where["hostname"] = endpoint.hostname
    health = "HEALTHY" if endpoint.healthy else "DEGRADED" if endpoint.degraded else "UNHEALTHY"
    tree: Tree = {"endpoint": where, "health_status": health}
    if endpoint.metadata:
        tree["metadata"] = {"filter_metadata": endpoint.metadata}
    elif resolved:
        tree["metadata"] = {}
    return {**tree, "load_balancing_weight": endpoint.weight}
