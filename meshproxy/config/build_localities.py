"""How localities are balanced: by weight, or the proxy's own zone first (LocalityLbConfig, and common_lb_config)."""

from collections.abc import Callable
from functools import partial

from meshproxy.config.view import View
from meshproxy.upstream.priorities import PrioritySettings

ReadLocalities = Callable[[PrioritySettings], None]


def old_localities(common: View) -> ReadLocalities:
    """What a cluster's common_lb_config says."""
    return _read(common, forced=False)


def read_localities(view: View) -> ReadLocalities:
    """envoy.extensions.load_balancing_policies.common.v3.LocalityLbConfig."""
    return _read(view, forced=True)


def _read(view: View, forced: bool) -> ReadLocalities:
    kind = view.which("locality_config_specifier")
    if kind == "locality_weighted_lb_config":
        _ = bool(view.locality_weighted_lb_config)
        return weigh_localities
    if kind is None:
        return any_locality
    zones = view.zone_aware_lb_config
    percent = int(zones.routing_enabled.value) if zones.has("routing_enabled") else 100
    direct = zones.force_locality_direct_routing if forced else False
    return partial(_by_zone, percent, zones.get("min_cluster_size", 6), zones.fail_traffic_on_panic, direct)


def weigh_localities(settings: PrioritySettings) -> None:
    """Localities by their weights."""
    settings.locality_weighted = True


def any_locality(settings: PrioritySettings) -> None:
    """Nothing is said of localities."""


def _by_zone(percent: int, size: int, fail: bool, direct: bool, settings: PrioritySettings) -> None:
    zones = settings.zones
    zones.enabled, zones.min_cluster_size, zones.fail_on_panic, zones.force_direct = percent, size, fail, direct
