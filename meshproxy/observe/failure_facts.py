"""What must be remembered of a failure to explain it later: the limit that was reached, the time that was over.

Every flag that needs more than a Failure holds anyway has one function here, which reads it from the exchange.
"""

from collections.abc import Callable
from typing import Any

from meshproxy.observe.operators import Exchange

Facts = dict[str, Any]


def facts(exchange: Exchange) -> Facts:
    """Plain data only: it goes from workers to main."""
    found: Facts = {"attempts": exchange.attempts} if exchange.attempts > 1 else {}
    for flag in exchange.flags:
        find = _OF_CLUSTER.get(flag) if exchange.cluster is not None else _OF_ROUTE.get(flag)
        if find is not None:
            found.update(find(exchange))
    return found


def route_name(exchange: Exchange) -> str:
    """`host` or `host/route`: names from the configuration; empty where no route was found, and for TCP."""
    host, route = exchange.virtual_host, exchange.route
    names = [each.name for each in (host, route) if each is not None and each.name]
    return "/".join(names)


def upstream_version(endpoint: Any) -> str:
    """The version of the service, where metadata tells: `envoy.lb` (subsets), or Istio's workload."""
    if endpoint is None:
        return ""
    version = endpoint.metadata.get("envoy.lb", {}).get("version", "")
    if not version:
        # name;namespace;service;revision;cluster
        workload = str(endpoint.metadata.get("istio", {}).get("workload", "")).split(";")
        version = workload[3] if len(workload) > 3 else ""
    return str(version)


def _no_endpoint(exchange: Exchange) -> Facts:
    stats = exchange.cluster.stats
    found = {"healthy": int(stats.membership_healthy), "total": int(stats.membership_total)}
    # Where endpoints are looked for (DNS), and that failed.
    return {**found, "lookups_failed": int(stats.update_failure)} if stats.update_failure else found


def _timeout(exchange: Exchange) -> Facts:
    asked = getattr(exchange, "asked", None)
    route = exchange.route
    plan = asked.plan if asked is not None else route.action.plan if route is not None else None
    if exchange.details == "upstream_per_try_timeout" and plan is not None:
        return {"timeout": plan.per_try_timeout}
    if asked is not None and asked.timeout:
        return {"timeout": asked.timeout}
    return {"timeout": route.action.timeout} if route is not None and route.action.forwards else {}


def _connect_timeout(exchange: Exchange) -> Facts:
    return {"connect_timeout": exchange.cluster.pool_settings.connect_timeout}


def _duration(exchange: Exchange) -> Facts:
    return {"timeout": exchange.cluster.pool_settings.max_stream_duration}


def _idle(exchange: Exchange) -> Facts:
    return {"timeout": round(exchange.manager.loop.time() - exchange.last_activity, 1)}


def _overflow(exchange: Exchange) -> Facts:
    """Which threshold of the circuit breaker is in use up to its end, as Envoy calls it, and how much that is."""
    route = exchange.route
    limits = exchange.cluster.limits[route.action.priority if route is not None and route.action.forwards else 0]
    for name, count in (
        ("max_pending_requests", limits.pending),
        ("max_requests", limits.requests),
        ("max_connections", limits.connections),
    ):
        if count.total >= count.maximum:
            return {"limit": name, "most": count.maximum}
    return {}


def _missing_cluster(exchange: Exchange) -> Facts:
    """The name that nothing has."""
    route = exchange.route
    if route is None:
        return {"wanted": " or ".join([name for name, *_ in exchange.proxy.targets])}
    action = route.action
    return {"wanted": action.cluster_name if action.name_of is None else action.name_of(exchange)}


_OF_ROUTE: dict[str, Callable[[Exchange], Facts]] = {"NC": _missing_cluster, "SI": _idle}
# These know the cluster.
_OF_CLUSTER: dict[str, Callable[[Exchange], Facts]] = {
    "SI": _idle,
    "UF": _connect_timeout,
    "UH": _no_endpoint,
    "UMSDR": _duration,
    "UO": _overflow,
    "UT": _timeout,
}
