"""What active health checks are configured with (envoy.config.core.v3.HealthCheck), and what they count."""

from dataclasses import dataclass

from meshproxy.observe.stats import StatGroup


@dataclass(slots=True)
class HealthCheckSettings:
    """Seconds. Of the intervals: unhealthy and healthy are for what checks find, edge for results that do not count
    yet, no_traffic for clusters that never had a connection."""

    timeout: float
    interval: float
    unhealthy_threshold: int
    healthy_threshold: int
    unhealthy_interval: float
    unhealthy_edge_interval: float
    healthy_edge_interval: float
    no_traffic_interval: float
    no_traffic_healthy_interval: float
    initial_jitter: float = 0.0
    interval_jitter: float = 0.0
    # Percent of the interval.
    interval_jitter_percent: int = 0
    reuse_connection: bool = True
    log_failures: bool = False
    log_successes: bool = False


class TogetherStats(StatGroup):
    """`cluster.<name>.health_check.*` where there are several checks: what they come to."""

    GAUGES = ("degraded", "healthy")

    __slots__ = GAUGES


class HealthCheckStats(StatGroup):
    """`cluster.<name>.health_check.*`; of a check that has a name, `cluster.<name>.health_check.name.<its name>.*`.

    As in Envoy, degraded does not go down again while the endpoint is there.
    """

    COUNTERS = ("attempt", "failure", "network_failure", "passive_failure", "success", "verify_cluster")
    GAUGES = ("degraded", "healthy")

    __slots__ = (*COUNTERS, *GAUGES)
