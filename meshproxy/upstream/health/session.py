"""The checks of one endpoint: when the next one is due, and what the last ones come to.

A probe does the checking (`http_probe.py`, `tcp_probe.py`) and tells the session how it went; the session counts,
compares with the thresholds, and sets the endpoint's flags.
"""

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from meshproxy.upstream.endpoint import (
    ACTIVE_HC_TIMEOUT,
    DEGRADED_ACTIVE_HC,
    EXCLUDED_VIA_IMMEDIATE_HC_FAIL,
    FAILED_ACTIVE_HC,
    PENDING_ACTIVE_HC,
    Endpoint,
)

if TYPE_CHECKING:
    from meshproxy.upstream.health.checker import HealthChecker

# Why a check failed (envoy.data.core.v3.HealthCheckFailureType).
ACTIVE, PASSIVE, NETWORK, NETWORK_TIMEOUT = "ACTIVE", "PASSIVE", "NETWORK", "NETWORK_TIMEOUT"
# What a result did to the endpoint's state. Not yet: more of the same would change it.
UNCHANGED, CHANGED, NOT_YET = range(3)


class Probe(Protocol):
    """How an endpoint is checked. It calls `succeeded` or `failed` of its session once for each `begin`."""

    def begin(self) -> None: ...
    def timed_out(self) -> None:
        """The check that has begun is over."""

    def close(self) -> None:
        """There will be no other check."""


class Flags(Protocol):
    """Where it is noted what was found of an endpoint: the endpoint itself, where nobody else checks it."""

    health_flags: tuple[str, ...]

    def flag(self, name: str, on: bool = True) -> None: ...


class Session:
    """One per endpoint, from its arrival until it leaves."""

    __slots__ = (
        "_checker", "_healthy_in_a_row", "_interval", "_probe", "_timeout", "_unhealthy_in_a_row",
        "endpoint", "first", "flags",
    )  # fmt: skip

    def __init__(self, checker: "HealthChecker", endpoint: Endpoint, flags: Flags) -> None:
        self._checker = checker
        self.endpoint = endpoint
        self.flags = flags
        self._probe: Probe = checker.make_probe(self)
        # No check has had a result yet.
        self.first = True
        self._healthy_in_a_row = self._unhealthy_in_a_row = 0
        self._interval: asyncio.TimerHandle | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._count(FAILED_ACTIVE_HC not in flags.health_flags, DEGRADED_ACTIVE_HC in flags.health_flags)

    def start(self) -> None:
        jitter = self._checker.initial_wait()
        if jitter:
            self._wait(jitter)
        else:
            self._check()

    def close(self) -> None:
        for timer in (self._interval, self._timeout):
            if timer is not None:
                timer.cancel()
        self._interval = self._timeout = None
        self._probe.close()
        flags = self.flags.health_flags
        self._count(-(FAILED_ACTIVE_HC not in flags), -(DEGRADED_ACTIVE_HC in flags))

    # ---- from the probe ----

    def succeeded(self, degraded: bool = False) -> None:
        checker, endpoint, flags = self._checker, self.endpoint, self.flags
        settings, events = checker.settings, checker.events
        self._unhealthy_in_a_row = 0
        change = UNCHANGED
        if FAILED_ACTIVE_HC in flags.health_flags:
            self._healthy_in_a_row += 1
            endpoint.healthy_since = time.monotonic()
            # The first check of all counts at once: otherwise starting would take long.
            if self.first or self._healthy_in_a_row == settings.healthy_threshold:
                for flag in (ACTIVE_HC_TIMEOUT, EXCLUDED_VIA_IMMEDIATE_HC_FAIL, FAILED_ACTIVE_HC):
                    flags.flag(flag, False)
                self._count(healthy=1)
                change = CHANGED
                events.write(endpoint, "add_healthy_event", {"first_check": self.first})
            else:
                change = NOT_YET
        if change != CHANGED and settings.log_successes:
            events.write(endpoint, "successful_health_check_event", {})
        if self._is_known_now():
            change = CHANGED
        if degraded != (DEGRADED_ACTIVE_HC in flags.health_flags):
            self._set_degraded(degraded)
            change = CHANGED if change == UNCHANGED else change
        checker.stats.success += 1
        self._had_result(change, healthy=True)
        self._rest(checker.wait_after(True, change == NOT_YET))

    def failed(self, kind: str, retriable: bool = False, status: int = 0) -> None:
        """retriable: the threshold counts, as for failures of the network. status: of the response, where there is
        one."""
        change = self._count_failure(kind, retriable, status)
        if self._checker.has(self):
            self._rest(self._checker.wait_after(False, change == NOT_YET))

    # ---- from responses to requests ----

    def fail_at_once(self) -> None:
        """The next check comes when it would have come."""
        self._count_failure(PASSIVE, False, 0)

    # ---- inside ----

    def _count_failure(self, kind: str, retriable: bool, status: int) -> int:
        checker, endpoint, flags = self._checker, self.endpoint, self.flags
        network = kind in (NETWORK, NETWORK_TIMEOUT)
        self._healthy_in_a_row = 0
        change = UNCHANGED
        if FAILED_ACTIVE_HC not in flags.health_flags:
            change = NOT_YET
            if network or retriable:
                self._unhealthy_in_a_row += 1
            if not (network or retriable) or self._unhealthy_in_a_row == checker.settings.unhealthy_threshold:
                flags.flag(FAILED_ACTIVE_HC)
                self._count(healthy=-1)
                change = CHANGED
                checker.events.write(
                    endpoint, "eject_unhealthy_event", {"failure_type": kind, "http_status_code": status}
                )  # fmt: skip
        timeout = kind == NETWORK_TIMEOUT and FAILED_ACTIVE_HC in flags.health_flags
        told = ACTIVE_HC_TIMEOUT in flags.health_flags
        flags.flag(ACTIVE_HC_TIMEOUT, timeout)
        if self._is_known_now():
            change = CHANGED
        if self.first or checker.settings.log_failures:
            failure = {"failure_type": kind, "first_check": self.first, "http_status_code": status}
            checker.events.write(endpoint, "health_check_failure_event", failure)
        stats = checker.stats
        stats.failure += 1
        if network:
            stats.network_failure += 1
        elif kind == PASSIVE:
            stats.passive_failure += 1
        self._had_result(change, healthy=False, told=told == timeout)
        return change

    def _is_known_now(self) -> bool:
        """Whether it was one that does not count before its first result."""
        pending = PENDING_ACTIVE_HC in self.flags.health_flags
        self.flags.flag(PENDING_ACTIVE_HC, False)
        return pending

    def _set_degraded(self, degraded: bool) -> None:
        self.flags.flag(DEGRADED_ACTIVE_HC, degraded)
        if degraded:
            self._count(degraded=1)
        self._checker.events.write(
            self.endpoint, "degraded_healthy_host" if degraded else "no_longer_degraded_host", {}
        )  # fmt: skip

    def _had_result(self, change: int, healthy: bool, told: bool = True) -> None:
        """told: there is nothing to tell but the change."""
        self.first = False
        self._checker.owner.had_result(self.endpoint, change == CHANGED, healthy, told)

    def _count(self, healthy: int = 0, degraded: int = 0) -> None:
        """The gauges; one that nothing has changed yet stays unused."""
        stats = self._checker.stats
        if healthy:
            stats.healthy += healthy
        if degraded:
            stats.degraded += degraded

    def _rest(self, seconds: float) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        if self._interval is not None:
            self._interval.cancel()
        self._interval = asyncio.get_running_loop().call_later(seconds, self._check)

    def _check(self) -> None:
        self._interval = None
        self._timeout = asyncio.get_running_loop().call_later(self._checker.settings.timeout, self._timed_out)
        self._checker.stats.attempt += 1
        self._probe.begin()

    def _timed_out(self) -> None:
        self._timeout = None
        self._probe.timed_out()
        self.failed(NETWORK_TIMEOUT)
