"""The active health checks of one cluster (envoy.config.core.v3.HealthCheck): one session for each endpoint."""

import asyncio
from collections.abc import Callable

from meshproxy.net.randomness import source
from meshproxy.net.runtime import Runtime
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import (
    EXCLUDED_VIA_IMMEDIATE_HC_FAIL,
    FAILED_ACTIVE_HC,
    PENDING_ACTIVE_HC,
    Endpoint,
)
from meshproxy.upstream.health.events import HealthEvents
from meshproxy.upstream.health.session import Probe, Session
from meshproxy.upstream.health.settings import HealthCheckSettings, HealthCheckStats
from meshproxy.upstream.host_monitor import HostMonitor
from meshproxy.upstream.host_states import HostStates

_uniform = source("health_checks").uniform
_UNLIMITED = (1 << 64) - 1

# An endpoint was checked: whether its state changed, and whether the check found it well.
Checked = Callable[[Endpoint, bool, bool], None]


class HealthChecker:
    """make_probe: what checks one endpoint. In a worker it follows what main finds."""

    def __init__(
        self, cluster: Cluster, settings: HealthCheckSettings, make_probe: Callable[[Session], Probe],
        stats: HealthCheckStats, events: HealthEvents, states: HostStates, runtime: Runtime,
    ) -> None:  # fmt: skip
        self.cluster = cluster
        self.settings = settings
        self.make_probe = make_probe
        self.events = events
        self.stats = stats
        self.checked: list[Checked] = []
        self._states = states
        self._runtime = runtime
        self._sessions: dict[Endpoint, Session] = {}
        self._started = False
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
        if endpoint.checking is not None and endpoint.checking.disabled:
            return
        endpoint.flag(FAILED_ACTIVE_HC)
        endpoint.flag(PENDING_ACTIVE_HC, self.settings.ignores_new)
        self._states.recall(self.cluster, endpoint)
        if self._started:
            self._begin(endpoint)

    def leave(self, endpoint: Endpoint) -> None:
        session = self._sessions.pop(endpoint, None)
        if session is not None:
            session.close()
            self._states.forget(self.cluster, endpoint)
            self._is_known(endpoint)

    def start(self) -> None:
        self.untold = not self._states.decides
        self._started = self._states.decides
        if self._started:
            for endpoint in list(self.cluster.endpoints):
                if endpoint.checking is None or not endpoint.checking.disabled:
                    self._begin(endpoint)

    async def wait(self) -> None:
        self._awaited = {endpoint for endpoint, session in self._sessions.items() if session.first}
        if self._awaited:
            await self._warm.wait()

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()

    # ---- for sessions ----

    def has(self, session: Session) -> bool:
        return self._sessions.get(session.endpoint) is session

    def had_result(self, session: Session, changed: bool, healthy: bool, told: bool) -> None:
        """told: no flag changed but those that `changed` is about."""
        endpoint = session.endpoint
        if changed and FAILED_ACTIVE_HC in endpoint.health_flags:
            endpoint.renew_connections()
        if changed or not told:
            self._states.publish(self.cluster, endpoint)
        for checked in self.checked:
            checked(endpoint, changed, healthy)
        self._is_known(endpoint)

    def wait_after(self, healthy: bool, not_yet: bool) -> float:
        """Seconds to the next check. not_yet: results like the last one will change the endpoint's state."""
        settings = self.settings
        if not self._has_traffic():
            quiet = healthy and not not_yet
            seconds = settings.no_traffic_healthy_interval if quiet else settings.no_traffic_interval
        elif healthy:
            seconds = settings.healthy_edge_interval if not_yet else settings.interval
        else:
            seconds = settings.unhealthy_edge_interval if not_yet else settings.unhealthy_interval
        return self._with_jitter(seconds, settings.interval_jitter)

    def initial_wait(self) -> float:
        jitter = self.settings.initial_jitter
        return self._with_jitter(0.0, jitter) if jitter else 0.0

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
        session = self._sessions[endpoint] = Session(self, endpoint)
        session.start()

    def _is_known(self, endpoint: Endpoint) -> None:
        self._awaited.discard(endpoint)
        if not self._awaited:
            self._warm.set()

    def _had_traffic(self, _endpoint: Endpoint) -> None:
        self._traffic = True

    def _has_traffic(self) -> bool:
        return self._traffic or self.cluster.stats.upstream_cx_total is not False

    def _fail(self, endpoint: Endpoint) -> None:
        session = self._sessions.get(endpoint)
        if session is not None:
            endpoint.flag(EXCLUDED_VIA_IMMEDIATE_HC_FAIL)
            session.fail_at_once()

    def _with_jitter(self, seconds: float, jitter: float) -> float:
        """In whole milliseconds, at least one, within what the runtime allows."""
        milliseconds = int(seconds * 1000)
        milliseconds += int(_uniform(0, self.settings.interval_jitter_percent * milliseconds // 100))
        milliseconds += int(_uniform(0, jitter * 1000))
        least = self._runtime.integer("health_check.min_interval", 0)
        most = self._runtime.integer("health_check.max_interval", _UNLIMITED)
        return max(1, min(milliseconds, most), least) / 1000
