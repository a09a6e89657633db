"""/clusters: every cluster, its limits, and its endpoints with their health and counters."""

from collections.abc import Iterator
from typing import Any

from meshproxy.admin.json_page import dump
from meshproxy.admin.listeners import address_tree
from meshproxy.admin.name_pattern import name_pattern
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import DEGRADED_EDS_HEALTH, EDS_STATUS_DRAINING, FAILED_EDS_HEALTH, Endpoint
from meshproxy.upstream.limits import Limits
from meshproxy.upstream.outliers.detector import OutlierDetector
from meshproxy.upstream.outliers.monitor import OutlierMonitor
from meshproxy.upstream.outliers.rates import UNKNOWN

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
_JSON_PRIORITIES: tuple[dict[str, str], ...] = ({}, {"priority": "HIGH"})
# What the text calls an endpoint's health -> the same in envoy.admin.v3.HostHealthStatus, in the order of its fields;
# "" is for what EDS says.
_FLAGS = {
    "failed_active_hc": "failed_active_health_check",
    "failed_outlier_check": "failed_outlier_check",
    "": "eds_health_status",
    "degraded_active_hc": "failed_active_degraded_check",
    "pending_dynamic_removal": "pending_dynamic_removal",
    "pending_active_hc": "pending_active_hc",
    "excluded_via_immediate_hc_fail": "excluded_via_immediate_hc_fail",
    "active_hc_timeout": "active_hc_timeout",
    "degraded_outlier_detection": "failed_degraded_outlier_detection",
}
_EDS = {FAILED_EDS_HEALTH: "UNHEALTHY", DEGRADED_EDS_HEALTH: "DEGRADED", EDS_STATUS_DRAINING: "DRAINING"}


@page(
    "/clusters",
    "upstream cluster status",
    ("filter", "Regular expression (Google re2) for filtering clusters by name"),
    shows="endpoints",
)
def clusters(server: Server, request: Request) -> Answer:
    try:
        shown = name_pattern(request.query.get("filter", ""), whole=False)
    except ValueError:
        return Answer("Invalid re2 regex", 400)
    found = [cluster for cluster in server.ctx.clusters if shown(cluster.name)]
    if request.query.get("format") == "json":
        return Answer(dump({"cluster_statuses": map(_status, found)} if found else {}), content_type=JSON)
    return Answer(line for cluster in found for line in _lines(cluster))


def _lines(cluster: Cluster) -> Iterator[str]:
    name = cluster.name
    yield f"{name}::observability_name::{cluster.alt_stat_name}\n"
    detector = outlier_detector(cluster)
    if detector is not None:
        for kind, found in (("", detector.external_rates), ("local_origin_", detector.local_rates)):
            yield f"{name}::outlier::{kind}success_rate_average::{_rate(found.average)}\n"
            yield f"{name}::outlier::{kind}success_rate_ejection_threshold::{_rate(found.threshold)}\n"
    for priority, limits in zip(_PRIORITIES, cluster.limits, strict=True):
        for limit, count in _LIMITS.items():
            yield f"{name}::{priority}_priority::{limit}::{getattr(limits, count).maximum}\n"
    yield f"{name}::added_via_api::{str(cluster.added_via_api).lower()}\n"
    for endpoint in by_priority(cluster):
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
    success_rate, local_success_rate = _rates_of(endpoint)
    yield "success_rate", _rate(success_rate)
    yield "local_origin_success_rate", _rate(local_success_rate)


def _rates_of(endpoint: Endpoint) -> tuple[float, float]:
    """Of what it answered, and of connections to it; -1 where nobody knows."""
    monitor = endpoint.monitor
    return (monitor.success_rate, monitor.local_success_rate) if isinstance(monitor, OutlierMonitor) else (-1.0, -1.0)


def outlier_detector(cluster: Cluster) -> OutlierDetector | None:
    return next((each for each in cluster.watchers if isinstance(each, OutlierDetector)), None)


def _percent(name: str, percent: float) -> dict[str, Any]:
    """In JSON: nothing where it is not known, and no value where it is 0."""
    if percent < 0:
        return {}
    return {name: {"value": int(percent) if percent.is_integer() else percent} if percent else {}}


def _rate(percent: float) -> str:
    """As C++ prints a double."""
    return f"{percent:g}"


def by_priority(cluster: Cluster) -> list[Endpoint]:
    """The endpoints as they are now, those of priority 0 first."""
    return sorted(cluster.endpoints, key=lambda each: each.priority)


def _status(cluster: Cluster) -> dict[str, Any]:
    thresholds = [_thresholds(*each) for each in zip(_JSON_PRIORITIES, cluster.limits, strict=True)]
    detector = outlier_detector(cluster)
    own, local = (detector.external_rates, detector.local_rates) if detector is not None else (UNKNOWN, UNKNOWN)
    return {
        **_without_empty({"name": cluster.name, "added_via_api": cluster.added_via_api}),
        **_percent("success_rate_ejection_threshold", own.threshold),
        **({"host_statuses": map(_status_of, by_priority(cluster))} if cluster.endpoints else {}),
        **_percent("local_origin_success_rate_ejection_threshold", local.threshold),
        "circuit_breakers": {"thresholds": thresholds},
        "observability_name": cluster.alt_stat_name,
    }


def _thresholds(priority: dict[str, str], limits: Limits) -> dict[str, Any]:
    return {**priority, **{limit: getattr(limits, count).maximum for limit, count in _LIMITS.items()}}


def _status_of(endpoint: Endpoint) -> dict[str, Any]:
    return _without_empty(_host(endpoint))


def _host(endpoint: Endpoint) -> dict[str, Any]:
    stats = [_without_empty({"value": _count(endpoint, name), "name": name}) for name in _COUNTERS]
    gauges = [_without_empty({"type": "GAUGE", "value": _count(endpoint, name), "name": name}) for name in _GAUGES]
    eds = next((_EDS[flag] for flag in endpoint.health_flags if flag in _EDS), "HEALTHY")
    health = {name: eds if not flag else flag in endpoint.health_flags for flag, name in _FLAGS.items()}
    success_rate, local_success_rate = _rates_of(endpoint)
    region, zone, sub_zone = endpoint.locality
    return {
        "address": address_tree(endpoint.address),
        "stats": stats + gauges,
        "health_status": _without_empty(health),
        **_percent("success_rate", success_rate),
        "weight": endpoint.weight,
        "hostname": endpoint.hostname,
        "priority": endpoint.priority,
        **_percent("local_origin_success_rate", local_success_rate),
        "locality": _without_empty({"region": region, "zone": zone, "sub_zone": sub_zone}),
    }


def _count(endpoint: Endpoint, name: str) -> str:
    number = int(getattr(endpoint.stats, name))
    return str(number) if number else ""


def _without_empty(tree: dict[str, Any]) -> dict[str, Any]:
    """JSON of protobuf leaves out what has its default value."""
    return {key: value for key, value in tree.items() if value not in ("", 0, False, None) and value != []}
