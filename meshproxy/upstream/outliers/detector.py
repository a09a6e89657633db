"""Who is ejected, for how long, and who comes back (Envoy's DetectorImpl): the outlier detection of one cluster."""

import asyncio
from typing import Any

from meshproxy.net.randomness import source
from meshproxy.net.runtime import Fraction, Runtime
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import (
    DEGRADED_OUTLIER_DETECTION,
    FAILED_ACTIVE_HC,
    FAILED_OUTLIER_CHECK,
    Endpoint,
)
from meshproxy.upstream.health.cluster_checks import ClusterChecks
from meshproxy.upstream.host_states import HostStates
from meshproxy.upstream.outliers import rates
from meshproxy.upstream.outliers.events import OutlierEvents
from meshproxy.upstream.outliers.monitor import OutlierMonitor, SplittingMonitor
from meshproxy.upstream.outliers.settings import (
    CONSECUTIVE_5XX,
    CONSECUTIVE_GATEWAY_FAILURE,
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE,
    DEGRADED,
    ENFORCING,
    FAILURE_PERCENTAGE,
    FAILURE_PERCENTAGE_LOCAL_ORIGIN,
    STAT_NAMES,
    SUCCESS_RATE,
    SUCCESS_RATE_LOCAL_ORIGIN,
    OutlierSettings,
    OutlierStats,
)
from meshproxy.upstream.outliers.tally import ERRORS, GATEWAY_ERRORS, LOCAL_ERRORS, Tallies, Tally

_randrange = source("outliers").randrange
_SERIES = {
    CONSECUTIVE_5XX: ERRORS,
    CONSECUTIVE_GATEWAY_FAILURE: GATEWAY_ERRORS,
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE: LOCAL_ERRORS,
}


class OutlierDetector:
    """checks: the cluster's active health checks, where it has some: their success ends ejections.

    In a worker it counts, and tells main what failed too often in a row.
    """

    def __init__(
        self, cluster: Cluster, settings: OutlierSettings, tallies: Tallies, events: OutlierEvents,
        states: HostStates, runtime: Runtime, checks: ClusterChecks | None = None,
    ) -> None:  # fmt: skip
        self.cluster = cluster
        self.settings = settings
        self.stats = OutlierStats()
        # What the page /clusters shows: of what endpoints answered, and of what kept us from answers.
        self.external_rates = self.local_rates = rates.UNKNOWN
        self._tallies = tallies
        self._events = events
        self._states = states
        self._runtime = runtime
        self._checks = checks
        self._monitors: dict[Endpoint, OutlierMonitor] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._keys = {name: f"outlier_detection.{name}" for name in OutlierSettings.__slots__}
        states.hear(cluster, "failed_in_a_row", self._failed)
        states.hear(cluster, "says_degraded", self._degrade)
        if checks is not None and settings.successful_active_health_check_uneject_host:
            checks.checked.append(self._checked)

    # ---- as a watcher of the cluster ----

    def enter(self, endpoint: Endpoint) -> None:
        make = SplittingMonitor if self.settings.split_external_local_origin_errors else OutlierMonitor
        tally = self._tallies.take() if self._states.decides else Tally()
        self._monitors[endpoint] = endpoint.monitor = make(self, endpoint, tally, self._checks)
        if self._states.decides:
            self._states.introduce(self.cluster, endpoint)
        else:
            self._states.recall(self.cluster, endpoint)

    def leave(self, endpoint: Endpoint) -> None:
        monitor = self._monitors.pop(endpoint, None)
        if monitor is None or not self._states.decides:
            return
        self._tallies.give(monitor.tally)
        self._states.forget(self.cluster, endpoint)
        if FAILED_OUTLIER_CHECK in endpoint.health_flags:
            self.stats.ejections_active -= 1

    def start(self) -> None:
        if self._states.decides:
            self._wait()

    async def wait(self) -> None: ...

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- for monitors ----

    def threshold(self, name: str) -> int:
        return self._runtime.integer(self._keys[name], getattr(self.settings, name))

    def tally_at(self, slot: int) -> Tally:
        return self._tallies.at(slot)

    def failed_in_a_row(self, endpoint: Endpoint, kind: str) -> None:
        if self._states.decides:
            # The response that brought it to this goes on first, as where main is another thread.
            asyncio.get_running_loop().call_soon(self._failed, endpoint, kind)
        else:
            self._states.report(self.cluster, endpoint, "failed_in_a_row", kind)

    def says_degraded(self, endpoint: Endpoint) -> None:
        if DEGRADED_OUTLIER_DETECTION in endpoint.health_flags:
            return
        if self._states.decides:
            asyncio.get_running_loop().call_soon(self._degrade, endpoint)
        else:
            self._states.report(self.cluster, endpoint, "says_degraded")

    # ---- endpoints that say that they are degraded ----

    def _degrade(self, endpoint: Endpoint) -> None:
        monitor = self._monitors.get(endpoint)
        if monitor is None or DEGRADED_OUTLIER_DETECTION in endpoint.health_flags:
            return
        now = monitor.degraded_at = asyncio.get_running_loop().time()
        self.stats.ejections_detected_degradation += 1
        monitor.degraded_backoff = self._longer(monitor.degraded_backoff)
        endpoint.flag(DEGRADED_OUTLIER_DETECTION)
        self._states.publish(self.cluster, endpoint)
        self._events.ejected(monitor, now, DEGRADED, True, {"eject_consecutive_event": {}})

    def _maybe_undegrade(self, monitor: OutlierMonitor, now: float) -> None:
        if DEGRADED_OUTLIER_DETECTION not in monitor.endpoint.health_flags or monitor.degraded_at is None:
            return
        if self._is_over(monitor.degraded_backoff, 0, now - monitor.degraded_at):
            monitor.endpoint.flag(DEGRADED_OUTLIER_DETECTION, False)
            monitor.undegraded_at = now
            self._states.publish(self.cluster, monitor.endpoint)
            self._events.unejected(monitor, now)

    # ---- ejections ----

    def _failed(self, endpoint: Endpoint, kind: str) -> None:
        monitor = self._monitors.get(endpoint)
        if monitor is None or FAILED_OUTLIER_CHECK in endpoint.health_flags:
            return
        self._detected(kind)
        self._eject(monitor, kind, {"eject_consecutive_event": {}})
        if kind == CONSECUTIVE_5XX:
            self.stats.ejections_consecutive_5xx += 1
        monitor.tally.end_series(_SERIES[kind])

    def _detected(self, kind: str) -> None:
        name = f"ejections_detected_{STAT_NAMES[kind]}"
        setattr(self.stats, name, getattr(self.stats, name) + 1)

    def _eject(self, monitor: OutlierMonitor, kind: str, why: dict[str, Any]) -> None:
        stats = self.stats
        if FAILED_OUTLIER_CHECK in monitor.endpoint.health_flags:
            return
        if not self._may_eject():
            stats.ejections_overflow += 1
            return
        if kind in (CONSECUTIVE_5XX, SUCCESS_RATE):
            stats.ejections_total += 1
        now = asyncio.get_running_loop().time()
        enforced = self._is_enforced(kind)
        if enforced:
            stats.ejections_active += 1
            stats.ejections_enforced_total += 1
            name = f"ejections_enforced_{STAT_NAMES[kind]}"
            setattr(stats, name, getattr(stats, name) + 1)
            self._put_out(monitor, now)
        self._events.ejected(monitor, now, kind, enforced, why)

    def _put_out(self, monitor: OutlierMonitor, now: float) -> None:
        endpoint = monitor.endpoint
        endpoint.flag(FAILED_OUTLIER_CHECK)
        monitor.ejections += 1
        monitor.ejected_at = now
        monitor.jitter = _randrange(self.threshold("max_ejection_time_jitter_ms") + 1)
        monitor.backoff = self._longer(monitor.backoff)
        endpoint.renew_connections()
        self._states.publish(self.cluster, endpoint)

    def _longer(self, backoff: int) -> int:
        """By how many base times the next one is longer, up to the longest."""
        base, most = self.threshold("base_ejection_time_ms"), self.threshold("max_ejection_time_ms")
        return backoff + 1 if backoff * base < most + base else backoff

    def _is_over(self, backoff: int, jitter: int, seconds: float) -> bool:
        base, most = self.threshold("base_ejection_time_ms"), self.threshold("max_ejection_time_ms")
        return min(base * backoff, most) + jitter <= seconds * 1000

    def _may_eject(self) -> bool:
        active = self.stats.ejections_active
        if self.settings.always_eject_one_host and not active:
            return True
        most = min(100, self.threshold("max_ejection_percent"))
        return bool(100.0 * (active + 1) / len(self._monitors) <= most)

    def _is_enforced(self, kind: str) -> bool:
        name = ENFORCING[kind]
        return self._runtime.enabled(Fraction(getattr(self.settings, name), 100, self._keys[name]))

    def _bring_back(self, monitor: OutlierMonitor) -> None:
        now = asyncio.get_running_loop().time()
        self.stats.ejections_active -= 1
        monitor.endpoint.flag(FAILED_OUTLIER_CHECK, False)
        # Otherwise one more failure of another kind might put it out again.
        monitor.tally.end_series(ERRORS, GATEWAY_ERRORS, LOCAL_ERRORS)
        monitor.unejected_at = now
        self._states.publish(self.cluster, monitor.endpoint)
        self._events.unejected(monitor, now)

    def _checked(self, endpoint: Endpoint, _changed: bool, healthy: bool) -> None:
        """A success of active health checks makes an ejected endpoint well."""
        flags = endpoint.health_flags
        if healthy and FAILED_OUTLIER_CHECK in flags and FAILED_ACTIVE_HC not in flags:
            self._bring_back(self._monitors[endpoint])

    # ---- every interval ----

    def _wait(self) -> None:
        milliseconds = self.threshold("interval_ms")
        self._timer = asyncio.get_running_loop().call_later(max(milliseconds, 1) / 1000, self._look)

    def _look(self) -> None:
        now = asyncio.get_running_loop().time()
        monitors = list(self._monitors.values())
        for monitor in monitors:
            self._maybe_bring_back(monitor, now)
            self._maybe_undegrade(monitor, now)
            monitor.success_rate = monitor.local_success_rate = -1.0
        counts = [(monitor, monitor.tally.since_last()) for monitor in monitors]
        self.external_rates = self._judge([(each, all[:2]) for each, all in counts], "success_rate")
        self.local_rates = self._judge([(each, all[2:]) for each, all in counts], "local_success_rate")
        interval = self.threshold("interval_ms") / 1000
        for monitor in monitors:
            flags = monitor.endpoint.health_flags
            if FAILED_OUTLIER_CHECK not in flags and _has_passed(monitor.unejected_at, interval, now):
                monitor.backoff = max(0, monitor.backoff - 1)
            if DEGRADED_OUTLIER_DETECTION not in flags and _has_passed(monitor.undegraded_at, interval, now):
                monitor.degraded_backoff = max(0, monitor.degraded_backoff - 1)
        self._wait()

    def _maybe_bring_back(self, monitor: OutlierMonitor, now: float) -> None:
        if FAILED_OUTLIER_CHECK not in monitor.endpoint.health_flags or monitor.ejected_at is None:
            return
        if self._is_over(monitor.backoff, monitor.jitter, now - monitor.ejected_at):
            self._bring_back(monitor)

    def _judge(self, counts: list[tuple[OutlierMonitor, tuple[int, ...]]], attribute: str) -> rates.Rates:
        """Ejects by success rate and by failure percentage; what the page shows of it."""
        local = attribute == "local_success_rate"
        by_rate = SUCCESS_RATE_LOCAL_ORIGIN if local else SUCCESS_RATE
        by_percentage = FAILURE_PERCENTAGE_LOCAL_ORIGIN if local else FAILURE_PERCENTAGE
        limits = rates.Limits(*[self.threshold(name) for name in rates.LIMITS])
        if len(counts) < min(limits.rate_hosts, limits.percentage_hosts):
            return rates.UNKNOWN
        measured = [
            rates.Measured(monitor, total, 100.0 * good / total)
            for monitor, (total, good) in counts
            if total and FAILED_OUTLIER_CHECK not in monitor.endpoint.health_flags
        ]
        for each in measured:
            if each.volume >= min(limits.rate_volume, limits.percentage_volume):
                setattr(each.monitor, attribute, each.rate)
        found, outliers = rates.by_success_rate(measured, limits)
        for each in outliers:
            self.stats.ejections_success_rate += 1
            self._detected(by_rate)
            why = {
                "host_success_rate": int(each.rate),
                "cluster_average_success_rate": max(0, int(found.average)),
                "cluster_success_rate_ejection_threshold": max(0, int(found.threshold)),
            }
            self._eject(each.monitor, by_rate, {"eject_success_rate_event": why})
        for each in rates.by_failure_percentage(measured, limits):
            self._detected(by_percentage)
            self._eject(
                each.monitor, by_percentage, {"eject_failure_percentage_event": {"host_success_rate": int(each.rate)}}
            )  # fmt: skip
        return found


def _has_passed(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since >= seconds
