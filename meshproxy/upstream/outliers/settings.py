"""What outlier detection is configured with, and what it counts."""

from collections.abc import Callable
from dataclasses import dataclass

from meshproxy.http.headers import ResponseHeaders
from meshproxy.observe.stats import StatGroup


@dataclass(slots=True)
class OutlierSettings:
    """envoy.config.cluster.v3.OutlierDetection, named as there. Times in milliseconds, as in the runtime keys
    `outlier_detection.<name>` that go before them; enforcing_*: percent of the ejections that really happen."""

    consecutive_5xx: int = 5
    consecutive_gateway_failure: int = 5
    consecutive_local_origin_failure: int = 5
    interval_ms: int = 10_000
    base_ejection_time_ms: int = 30_000
    max_ejection_time_ms: int = 300_000
    max_ejection_time_jitter_ms: int = 0
    max_ejection_percent: int = 10
    always_eject_one_host: bool = False
    enforcing_consecutive_5xx: int = 100
    enforcing_consecutive_gateway_failure: int = 0
    enforcing_consecutive_local_origin_failure: int = 100
    enforcing_success_rate: int = 100
    enforcing_local_origin_success_rate: int = 100
    enforcing_failure_percentage: int = 0
    enforcing_failure_percentage_local_origin: int = 0
    success_rate_minimum_hosts: int = 5
    success_rate_request_volume: int = 100
    # Thousandths.
    success_rate_stdev_factor: int = 1900
    failure_percentage_threshold: int = 85
    failure_percentage_minimum_hosts: int = 5
    failure_percentage_request_volume: int = 50
    split_external_local_origin_errors: bool = False
    successful_active_health_check_uneject_host: bool = True
    detect_degraded_hosts: bool = False
    # Which responses are errors, in the place of their status (HttpProtocolOptions.outlier_detection.error_matcher).
    is_error: Callable[[ResponseHeaders], bool] | None = None


# Why an endpoint is ejected (envoy.data.cluster.v3.OutlierEjectionType), and what the stats and settings call it.
DEGRADED = "DEGRADED"
CONSECUTIVE_5XX = "CONSECUTIVE_5XX"
CONSECUTIVE_GATEWAY_FAILURE = "CONSECUTIVE_GATEWAY_FAILURE"
CONSECUTIVE_LOCAL_ORIGIN_FAILURE = "CONSECUTIVE_LOCAL_ORIGIN_FAILURE"
SUCCESS_RATE = "SUCCESS_RATE"
SUCCESS_RATE_LOCAL_ORIGIN = "SUCCESS_RATE_LOCAL_ORIGIN"
FAILURE_PERCENTAGE = "FAILURE_PERCENTAGE"
FAILURE_PERCENTAGE_LOCAL_ORIGIN = "FAILURE_PERCENTAGE_LOCAL_ORIGIN"
STAT_NAMES = {
    CONSECUTIVE_5XX: "consecutive_5xx",
    CONSECUTIVE_GATEWAY_FAILURE: "consecutive_gateway_failure",
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE: "consecutive_local_origin_failure",
    SUCCESS_RATE: "success_rate",
    SUCCESS_RATE_LOCAL_ORIGIN: "local_origin_success_rate",
    FAILURE_PERCENTAGE: "failure_percentage",
    FAILURE_PERCENTAGE_LOCAL_ORIGIN: "local_origin_failure_percentage",
}
ENFORCING = {
    CONSECUTIVE_5XX: "enforcing_consecutive_5xx",
    CONSECUTIVE_GATEWAY_FAILURE: "enforcing_consecutive_gateway_failure",
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE: "enforcing_consecutive_local_origin_failure",
    SUCCESS_RATE: "enforcing_success_rate",
    SUCCESS_RATE_LOCAL_ORIGIN: "enforcing_local_origin_success_rate",
    FAILURE_PERCENTAGE: "enforcing_failure_percentage",
    FAILURE_PERCENTAGE_LOCAL_ORIGIN: "enforcing_failure_percentage_local_origin",
}


class OutlierStats(StatGroup):
    """`cluster.<name>.outlier_detection.*`."""

    COUNTERS = (
        "ejections_consecutive_5xx", "ejections_detected_degradation", "ejections_enforced_total",
        "ejections_overflow", "ejections_success_rate", "ejections_total",
        *[f"ejections_{what}_{name}" for what in ("detected", "enforced") for name in STAT_NAMES.values()],
    )  # fmt: skip
    GAUGES = ("ejections_active",)

    __slots__ = (*COUNTERS, *GAUGES)
