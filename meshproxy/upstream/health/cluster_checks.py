"""All active health checks of a cluster: what they find together is the state of its endpoints."""

import asyncio
from collections.abc import Callable

from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import (
    ACTIVE_HC_TIMEOUT,
    DEGRADED_ACTIVE_HC,
    EXCLUDED_VIA_IMMEDIATE_HC_FAIL,
    FAILED_ACTIVE_HC,
    PENDING_ACTIVE_HC,
    Endpoint,
)
from meshproxy.upstream.health.checker import HealthChecker
from meshproxy.upstream.health.session import Flags
from meshproxy.upstream.health.settings import TogetherStats
from meshproxy.upstream.host_monitor import HostMonitor
from meshproxy.upstream.host_states import HostStates

# An endpoint was checked: whether its state changed, and whether it is well.
Checked = Callable[[Endpoint, bool, bool], None]

_STATES = (FAILED_ACTIVE_HC, DEGRADED_ACTIVE_HC, PENDING_ACTIVE_HC)
_FLAGS = (*_STATES, ACTIVE_HC_TIMEOUT, EXCLUDED_VIA_IMMEDIATE_HC_FAIL)


class OwnFlags:
    """What one of several checkers finds of an endpoint."""

    __slots__ = ("health_flags",)

    def __init__(self, flags: tuple[str, ...]) -> None:
        self.health_flags = flags

    def flag(self, name: str, on: bool = True) -> None:
        if (name in self.health_flags) != on:
            rest = tuple([each for each in self.health_flags if each != name])
            self.health_flags = (*rest, name) if on else rest


class ClusterChecks:
    """ignores_new: endpoints do not count before their first check (ignore_new_hosts_until_first_hc).

    In a worker it follows what main finds.
    """

    def __init__(self, cluster: Cluster, states: HostStates, ignores_new: bool) -> None:
        self.cluster = cluster
        # Where there are several checkers; each counts its own as well.
        self.stats = TogetherStats()
        self.checkers: list[HealthChecker] = []
        self.checked: list[Checked] = []
        self._states = states
        self._ignores_new = ignores_new
        self._started = False
        # Where there are several checkers: what each of them finds.
        self._own: dict[tuple[Endpoint, HealthChecker], OwnFlags] = {}
        # Those without a result that somebody waits for.
        self._awaited: set[Endpoint] = set()
        self._warm = asyncio.Event()
        # In a worker: main has not heard of traffic from here. In main: whether it has heard.
        self.untold = False
        self._traffic = False
        states.hear(cluster, "traffic", self._had_traffic)
        states.hear(cluster, "fail_at_once", self._fail)

    # ---- as a watcher of the cluster ----

    def enter(self, endpoint: Endpoint) -> None:
        if endpoint.monitor is None:
            endpoint.monitor = HostMonitor(self)
        if _unchecked(endpoint):
            return
        endpoint.flag(FAILED_ACTIVE_HC)
        endpoint.flag(PENDING_ACTIVE_HC, self._ignores_new)
        self._states.recall(self.cluster, endpoint)
        if self._started:
            self._begin(endpoint)

    def leave(self, endpoint: Endpoint) -> None:
        if endpoint not in self.checkers[0].sessions:
            return
        for checker in self.checkers:
            checker.end(endpoint)
            self._own.pop((endpoint, checker), None)
        self._count(endpoint, -1)
        self._states.forget(self.cluster, endpoint)
        self._is_known(endpoint)

    def start(self) -> None:
        self.untold = not self._states.decides
        self._started = self._states.decides
        if self._started:
            for endpoint in list(self.cluster.endpoints):
                if not _unchecked(endpoint):
                    self._begin(endpoint)

    async def wait(self) -> None:
        self._awaited = {each for each in self.cluster.endpoints if self._is_new(each)}
        if self._awaited:
            self._warm.clear()
            await self._warm.wait()

    def close(self) -> None:
        for checker in self.checkers:
            checker.close()

    # ---- for checkers ----

    def has_traffic(self) -> bool:
        return self._traffic or self.cluster.stats.upstream_cx_total is not False

    def flags_of(self, endpoint: Endpoint, checker: HealthChecker) -> Flags:
        if len(self.checkers) == 1:
            return endpoint
        flags = tuple([flag for flag in endpoint.health_flags if flag in _FLAGS])
        own = self._own[endpoint, checker] = OwnFlags(flags)
        return own

    def had_result(self, endpoint: Endpoint, changed: bool, healthy: bool, told: bool) -> None:
        """An endpoint is well where all checkers find it so; nothing is said before each has had a result."""
        if len(self.checkers) > 1:
            if self._is_new(endpoint):
                return
            was_pending = PENDING_ACTIVE_HC in endpoint.health_flags
            changed, told = self._put_together(endpoint)
            healthy = FAILED_ACTIVE_HC not in endpoint.health_flags
            if was_pending and PENDING_ACTIVE_HC in endpoint.health_flags:
                return
        if changed and FAILED_ACTIVE_HC in endpoint.health_flags:
            endpoint.renew_connections()
        if changed or not told:
            self._states.publish(self.cluster, endpoint)
        for checked in self.checked:
            checked(endpoint, changed, healthy)
        self._is_known(endpoint)

    # ---- for those who see the traffic ----

    def tell_traffic(self) -> None:
        self.untold = False
        for endpoint in self.cluster.endpoints[:1]:
            self._states.report(self.cluster, endpoint, "traffic")

    def fail_at_once(self, monitor: HostMonitor) -> None:
        """The endpoint does not count from this moment on; main makes it fail."""
        for endpoint in self.cluster.endpoints:
            if endpoint.monitor is monitor:
                endpoint.flag(EXCLUDED_VIA_IMMEDIATE_HC_FAIL)
                if self._states.decides:
                    asyncio.get_running_loop().call_soon(self._fail, endpoint)
                else:
                    self._states.report(self.cluster, endpoint, "fail_at_once")

    # ---- inside ----

    def _begin(self, endpoint: Endpoint) -> None:
        self._count(endpoint, 1)
        for checker in self.checkers:
            checker.begin(endpoint)

    def _is_new(self, endpoint: Endpoint) -> bool:
        """Whether one of its checks has had no result."""
        sessions = [checker.sessions.get(endpoint) for checker in self.checkers]
        return any(session is not None and session.first for session in sessions)

    def _is_known(self, endpoint: Endpoint) -> None:
        self._awaited.discard(endpoint)
        if not self._awaited:
            self._warm.set()

    def _put_together(self, endpoint: Endpoint) -> tuple[bool, bool]:
        """Whether the endpoint's state has changed, and whether nothing else has."""
        before = endpoint.health_flags
        self._count(endpoint, -1)
        for flag in _FLAGS:
            endpoint.flag(flag, any(flag in self._own[endpoint, checker].health_flags for checker in self.checkers))
        self._count(endpoint, 1)
        changed = any((flag in before) != (flag in endpoint.health_flags) for flag in _STATES)
        return changed, before == endpoint.health_flags

    def _count(self, endpoint: Endpoint, change: int) -> None:
        """The gauges: a single checker counts itself."""
        if len(self.checkers) > 1:
            if FAILED_ACTIVE_HC not in endpoint.health_flags:
                self.stats.healthy += change
            if DEGRADED_ACTIVE_HC in endpoint.health_flags:
                self.stats.degraded += change

    def _had_traffic(self, _endpoint: Endpoint) -> None:
        self._traffic = True

    def _fail(self, endpoint: Endpoint) -> None:
        """As in Envoy, the last one of several checkers makes it fail."""
        session = self.checkers[-1].sessions.get(endpoint)
        if session is not None:
            endpoint.flag(EXCLUDED_VIA_IMMEDIATE_HC_FAIL)
            session.fail_at_once()


def _unchecked(endpoint: Endpoint) -> bool:
    return endpoint.checking is not None and endpoint.checking.disabled
