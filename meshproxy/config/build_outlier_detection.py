"""Outlier detection of a cluster (envoy.config.cluster.v3.OutlierDetection), and where ejections are logged."""

from collections.abc import Callable

from meshproxy.config.build_error_matcher import build_error_matcher
from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.health.cluster_checks import ClusterChecks
from meshproxy.upstream.outliers.detector import OutlierDetector
from meshproxy.upstream.outliers.events import OutlierEvents
from meshproxy.upstream.outliers.settings import OutlierSettings
from meshproxy.upstream.outliers.tally import Tallies

# Of so many endpoints the workers count together, in clusters whose endpoints are not all known at the start.
_SHARED = 256
_NUMBERS = tuple([
    name for name, kind in OutlierSettings.__annotations__.items() if kind is int and not name.endswith("_ms")
])  # fmt: skip
_TIMES = ("interval", "base_ejection_time", "max_ejection_time_jitter")


def build_outlier_log(view: View, ctx: Context) -> Callable[[str], None] | None:
    """ClusterManager.OutlierDetection: what writes a line; None where there is no log."""
    view.ignore("event_service", why="Envoy does not read it either")
    if not view.event_log_path:
        return None
    with view.at("event_log_path"):
        return ctx.log_files.open(view.event_log_path).write


def build_outlier_detector(
    cluster: Cluster, view: View, of: View, checks: ClusterChecks | None, ctx: Context
) -> OutlierDetector | None:
    """`view` is the cluster's outlier_detection, `of` the cluster's; None where there is none."""
    if not view:
        # Where there is a matcher for nothing, that is told.
        build_error_matcher(of, ctx)
        return None
    settings = _settings(view)
    settings.is_error = build_error_matcher(of, ctx)
    numbers = ctx.host_states.numbers
    tallies = Tallies(numbers, _count(of))
    events = OutlierEvents(cluster.name, ctx.outlier_log)
    return OutlierDetector(cluster, settings, tallies, events, ctx.host_states, ctx.runtime, checks)


def _settings(view: View) -> OutlierSettings:
    settings = OutlierSettings()
    for name in _NUMBERS:
        setattr(settings, name, view.get(name, getattr(settings, name)))
    for name in _TIMES:
        default = getattr(settings, f"{name}_ms") / 1000
        setattr(settings, f"{name}_ms", round((view.seconds(name, default) or 0.0) * 1000))
    longest = max(settings.max_ejection_time_ms, settings.base_ejection_time_ms) / 1000
    settings.max_ejection_time_ms = round((view.seconds("max_ejection_time", longest) or 0.0) * 1000)
    if settings.max_ejection_time_ms < settings.base_ejection_time_ms:
        words = "outlier detector's max_ejection_time cannot be smaller than base_ejection_time"
        view.reject("max_ejection_time", words)
    settings.always_eject_one_host = view.get("always_eject_one_host", False)
    settings.split_external_local_origin_errors = view.split_external_local_origin_errors
    settings.detect_degraded_hosts = view.get("detect_degraded_hosts", False)
    view.ignore("monitors", why="Envoy does not read them either")
    settings.successful_active_health_check_uneject_host = view.get("successful_active_health_check_uneject_host", True)
    return settings


def _count(cluster: View) -> int:
    """How many endpoints the cluster can have, as far as that is known."""
    if cluster.enum("type") != "STATIC" or cluster.which("cluster_discovery_type") == "cluster_type":
        return _SHARED
    return max(1, sum([len(group.lb_endpoints) for group in cluster.load_assignment.endpoints]))
