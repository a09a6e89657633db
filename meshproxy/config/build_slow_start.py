"""Slow start (envoy.extensions.load_balancing_policies.common.v3.SlowStartConfig, and Cluster.SlowStartConfig)."""

from collections.abc import Callable

from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.upstream.balancers.slow_start import SlowStart


def build_slow_start(view: View, ctx: Context) -> Callable[[], SlowStart | None]:
    """Makes one for each balancer; None where there is no window."""
    window = view.seconds("slow_start_window", 0.0) or 0.0
    least = view.min_weight_percent.value / 100 if view.has("min_weight_percent") else 0.1
    aggression, key = 1.0, ""
    if view.has("aggression"):
        aggression, key = view.aggression.default_value, view.aggression.runtime_key
    if not window:
        return lambda: None
    return lambda: SlowStart(window, least, aggression if aggression > 0 else 1.0, ctx.runtime, key)
