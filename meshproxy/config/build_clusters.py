"""A cluster (envoy.config.cluster.v3.Cluster)."""


from meshproxy.config.build_balancers import build_balancer
from meshproxy.config.build_discovery import build_discovery, cluster_class
from meshproxy.config.build_endpoints import metadata_of
from meshproxy.config.build_health_checks import build_health_checks
from meshproxy.config.build_outlier_detection import build_outlier_detector
from meshproxy.config.build_pool_settings import build_pool_settings, upstream_http_options
from meshproxy.config.build_socket_options import build_socket_options
from meshproxy.config.build_transport_sockets import build_transports, read_host_rules
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.net.count import UNLIMITED, Counts
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.host_limits import HostLimits
from meshproxy.upstream.limits import Limits
from meshproxy.upstream.pool_settings import BY_ALPN
from meshproxy.upstream.stats import ClusterStats

_IGNORED = {
    "lrs_report_endpoint_metrics": "load is not reported yet",
    "lrs_server": "load is not reported yet",
    "track_timeout_budgets": "these histograms are not kept yet",
    "wait_for_warm_on_init": "every cluster is waited for",
}
_THRESHOLDS = (
    "max_connections", "max_pending_requests", "max_requests", "max_retries", "max_connection_pools", "retry_budget",
    "track_remaining",
)  # fmt: skip


def add_cluster(view: View, ctx: Context) -> Cluster:
    """Builds a cluster and makes it known by its name, in the tables and in the stats."""
    cluster = build_cluster(view, ctx)
    if cluster.name in ctx.clusters.by_name:
        raise ConfigError(f"cluster manager: duplicate cluster '{cluster.name}'")
    ctx.clusters.by_name[cluster.name] = cluster
    cluster.turns = ctx.clusters.turns
    ctx.stats.add(f"cluster.{cluster.alt_stat_name}", cluster.stats)
    for name, group in cluster.stat_groups.items():
        ctx.stats.add(f"cluster.{cluster.alt_stat_name}" + (f".{name}" if name else ""), group)
    return cluster


def build_cluster(view: View, ctx: Context) -> Cluster:
    for name, why in _IGNORED.items():
        view.ignore(name, why=why)
    stats = ClusterStats(ctx.counts)
    balancer, scope = build_balancer(view, stats, ctx)
    cluster = cluster_class(view)(view.name, balancer, build_pool_settings(view), stats)
    cluster.stat_groups, cluster.load_reports = scope.groups, scope.load_reports
    factor = view.load_assignment.policy.get("overprovisioning_factor")
    cluster.overprovisioning = cluster.overprovisioning if factor is None else factor
    cluster.drain_on_change = view.common_lb_config.close_connections_on_host_set_change
    cluster.alt_stat_name = view.alt_stat_name or view.name
    cluster.metadata = metadata_of(view.metadata)
    cluster.runtime = ctx.runtime
    cluster.local_zone = ctx.node.zone
    transports = cluster.transports = build_transports(view, ctx, cluster.alt_stat_name)
    _read_host_rules(cluster, view)
    if cluster.pool_settings.protocol == BY_ALPN and (transports is None or transports.default.tls is None):
        raise ConfigError(f"ALPN configured for cluster {cluster.name} which has a non-ALPN transport socket")
    _read_circuit_breakers(cluster, view.circuit_breakers, ctx.counts)
    cluster.socket_options = build_socket_options(view, ctx.upstream_bind)
    tracked = view.track_cluster_stats
    tracked.ignore("timeout_budgets", "request_response_sizes", why="these histograms are not kept yet")
    if tracked.per_endpoint_stats:
        stats.endpoints = cluster.endpoint_rows
    _read_health(cluster, view, ctx)
    build_discovery(cluster, view, ctx)
    return cluster


def _read_host_rules(cluster: Cluster, view: View) -> None:
    """What a request's host says to TLS."""
    options = upstream_http_options(view)
    if not options:
        return
    if cluster.transports is None:
        options.ignore("auto_sni", "auto_san_validation", "override_auto_sni_header", why="there is no TLS to it")
    else:
        read_host_rules(cluster.transports, options)


def _read_health(cluster: Cluster, view: View, ctx: Context) -> None:
    """Who follows the endpoints: they hear of them from the first one on."""
    checks = build_health_checks(cluster, view, ctx)
    with view.at("outlier_detection"):
        detector = build_outlier_detector(cluster, view.outlier_detection, view, checks, ctx)
    cluster.watchers = tuple([each for each in (detector, checks) if each is not None])
    cluster.keeps_healthy = not view.ignore_health_on_host_removal and checks is not None
    cluster.cuts_failed = view.close_connections_on_host_health_failure
    if detector is not None:
        ctx.stats.add(f"cluster.{cluster.alt_stat_name}.outlier_detection", detector.stats)


def _read_circuit_breakers(cluster: Cluster, view: View, counts: Counts) -> None:
    seen = set()
    for thresholds in view.thresholds:
        priority = thresholds.priority
        if priority in seen:
            thresholds.ignore(*_THRESHOLDS, why="an earlier entry has this priority, and the first one counts")
        else:
            seen.add(priority)
            _read_thresholds(cluster.limits[priority], thresholds)
    if view.per_host_thresholds:
        limits = cluster.host_limits = HostLimits(counts)
        # The first entry of a priority counts.
        for thresholds in view.per_host_thresholds[::-1]:
            if any(thresholds.has(name) for name in _THRESHOLDS if name not in ("max_connections", "track_remaining")):
                view.reject("per_host_thresholds", "Unsupported field in per_host_thresholds")
            thresholds.ignore("track_remaining", why="what is left for each endpoint is not shown")
            limits.maximum[thresholds.priority] = thresholds.get("max_connections", UNLIMITED)


def _read_thresholds(limits: Limits, view: View) -> None:
    for count, field in (
        (limits.connections, "max_connections"),
        (limits.pending, "max_pending_requests"),
        (limits.requests, "max_requests"),
        (limits.retries, "max_retries"),
        (limits.pools, "max_connection_pools"),
    ):
        count.maximum = view.get(field, count.maximum)
    limits.track_remaining = view.track_remaining
    if view.has("retry_budget"):
        budget = view.retry_budget
        limits.retry_budget = budget.budget_percent.value if budget.has("budget_percent") else 20.0
        limits.retry_budget_minimum = budget.get("min_retry_concurrency", 3)
