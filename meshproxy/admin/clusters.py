"""/clusters: every cluster, its limits, and its endpoints with their health and counters."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import re2

from meshproxy.admin.listeners import address_tree
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.plain import dump
from meshproxy.admin.server_view import Server
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint

_STATS = (
    "cx_active", "cx_connect_fail", "cx_total", "rq_active", "rq_error", "rq_pending_active", "rq_success",
    "rq_timeout", "rq_total",
)  # fmt: skip
_COUNTERS = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
_GAUGES = ("cx_active", "rq_active", "rq_pending_active")
_LIMITS = {
    "max_connections": "connections", "max_pending_requests": "pending", "max_requests": "requests",
    "max_retries": "retries",
}  # fmt: skip
_PRIORITIES = ("default", "high")


@page(
    "/clusters",
    "upstream cluster status",
    ("filter", "Regular expression (Google re2) for filtering clusters by name"),
    shows="endpoints",
)
def clusters(server: Server, request: Request) -> Answer:
    try:
        shown = _filter(request.query.get("filter", ""))
    except re2.error:
        return Answer("Invalid re2 regex", 400)
    found = [cluster for cluster in server.ctx.clusters if shown(cluster.name)]
    if request.query.get("format") == "json":
        return Answer(dump(_tree(found)), content_type=JSON)
    return Answer(line for cluster in found for line in _lines(cluster))


def _filter(pattern: str) -> Callable[[str], bool]:
    if not pattern:
        return lambda _name: True
    options = re2.Options()
    options.log_errors = False
    search = re2.compile(pattern, options).search
    return lambda name: search(name) is not None


def _lines(cluster: Cluster) -> Iterator[str]:
    name = cluster.name
    yield f"{name}::observability_name::{cluster.alt_stat_name}\n"
    for priority, limits in zip(_PRIORITIES, cluster.limits, strict=True):
        for limit, count in _LIMITS.items():
            yield f"{name}::{priority}_priority::{limit}::{getattr(limits, count).maximum}\n"
    yield f"{name}::added_via_api::{str(cluster.added_via_api).lower()}\n"
    for endpoint in cluster.endpoints:
        yield "".join([f"{name}::{endpoint.address_text}::{key}::{value}\n" for key, value in _facts(endpoint)])


def _facts(endpoint: Endpoint) -> Iterator[tuple[str, Any]]:
    for name in _STATS:
        yield name, int(getattr(endpoint.stats, name))
    region, zone, sub_zone = endpoint.locality
    yield "hostname", endpoint.hostname
    yield "health_flags", "".join([f"/{flag}" for flag in endpoint.health_flags]) or "healthy"
    yield "weight", endpoint.weight
    yield "region", region
    yield "zone", zone
    yield "sub_zone", sub_zone
    yield "canary", str(endpoint.canary).lower()
    yield "priority", endpoint.priority
    # Without outlier detection nobody works them out.
    yield "success_rate", -1
    yield "local_origin_success_rate", -1


def _tree(clusters: Iterable[Cluster]) -> dict[str, Any]:
    statuses = [_without_empty(_status(cluster)) for cluster in clusters]
    return {"cluster_statuses": statuses} if statuses else {}


def _status(cluster: Cluster) -> dict[str, Any]:
    thresholds = []
    for priority, limits in zip(("", "HIGH"), cluster.limits, strict=True):
        numbers = {limit: getattr(limits, count).maximum for limit, count in _LIMITS.items()}
        thresholds.append(_without_empty({"priority": priority, **numbers}))
    return {
        "name": cluster.name,
        "added_via_api": cluster.added_via_api,
        "host_statuses": [_without_empty(_host(endpoint)) for endpoint in cluster.endpoints],
        "circuit_breakers": {"thresholds": thresholds},
        "observability_name": cluster.alt_stat_name,
    }


def _host(endpoint: Endpoint) -> dict[str, Any]:
    stats = [_without_empty({"value": _count(endpoint, name), "name": name}) for name in _COUNTERS]
    gauges = [_without_empty({"type": "GAUGE", "value": _count(endpoint, name), "name": name}) for name in _GAUGES]
    health: dict[str, Any] = {flag: True for flag in endpoint.health_flags if flag.startswith("failed_")}
    eds = next((flag for flag in endpoint.health_flags if "eds" in flag), "")
    health.pop("failed_eds_health", None)
    region, zone, sub_zone = endpoint.locality
    return {
        "address": address_tree(endpoint.address),
        "stats": stats + gauges,
        "health_status": {**health, "eds_health_status": _EDS.get(eds, "HEALTHY")},
        "weight": endpoint.weight,
        "hostname": endpoint.hostname,
        "priority": endpoint.priority,
        "locality": _without_empty({"region": region, "zone": zone, "sub_zone": sub_zone}),
    }


_EDS = {"failed_eds_health": "UNHEALTHY", "degraded_eds_health": "DEGRADED", "eds_status_draining": "DRAINING"}


def _count(endpoint: Endpoint, name: str) -> str:
    number = int(getattr(endpoint.stats, name))
    return str(number) if number else ""


def _without_empty(tree: dict[str, Any]) -> dict[str, Any]:
    """JSON of protobuf leaves out what has its default value."""
    return {key: value for key, value in tree.items() if value not in ("", 0, False, None) and value != []}
