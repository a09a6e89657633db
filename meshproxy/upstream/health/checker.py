"""One health check of a cluster (envoy.config.core.v3.HealthCheck): a session for each endpoint."""

from collections.abc import Callable
from typing import Protocol

from meshproxy.net.randomness import source
from meshproxy.net.runtime import Runtime
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.health.events import HealthEvents
from meshproxy.upstream.health.session import Flags, Probe, Session
from meshproxy.upstream.health.settings import HealthCheckSettings, HealthCheckStats

_uniform = source("health_checks").uniform
_UNLIMITED = (1 << 64) - 1


class Owner(Protocol):
    """All health checks of the cluster together (cluster_checks.ClusterChecks)."""

    def has_traffic(self) -> bool:
        """Whether there ever was a connection to one of its endpoints."""

    def flags_of(self, endpoint: Endpoint, checker: "HealthChecker") -> Flags:
        """Where the checker notes what it finds."""

    def had_result(self, endpoint: Endpoint, changed: bool, healthy: bool, told: bool) -> None:
        """changed: the state that a checker sees the endpoint in; told: no other flag has changed."""


class HealthChecker:
    """make_probe: what checks one endpoint."""

    def __init__(
        self, owner: Owner, settings: HealthCheckSettings, make_probe: Callable[[Session], Probe],
        stats: HealthCheckStats, events: HealthEvents, runtime: Runtime,
    ) -> None:  # fmt: skip
        self.owner = owner
        self.settings = settings
        self.make_probe = make_probe
        self.stats = stats
        self.events = events
        self._runtime = runtime
        self.sessions: dict[Endpoint, Session] = {}

    def begin(self, endpoint: Endpoint) -> None:
        session = self.sessions[endpoint] = Session(self, endpoint, self.owner.flags_of(endpoint, self))
        session.start()

    def end(self, endpoint: Endpoint) -> None:
        session = self.sessions.pop(endpoint, None)
        if session is not None:
            session.close()

    def close(self) -> None:
        for endpoint in list(self.sessions):
            self.end(endpoint)

    def has(self, session: Session) -> bool:
        return self.sessions.get(session.endpoint) is session

    def wait_after(self, healthy: bool, not_yet: bool) -> float:
        """Seconds to the next check. not_yet: results like the last one will change the endpoint's state."""
        settings = self.settings
        if not self.owner.has_traffic():
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

    def _with_jitter(self, seconds: float, jitter: float) -> float:
        """In whole milliseconds, at least one, within what the runtime allows."""
        milliseconds = int(seconds * 1000)
        milliseconds += int(_uniform(0, self.settings.interval_jitter_percent * milliseconds // 100))
        milliseconds += int(_uniform(0, jitter * 1000))
        least = self._runtime.integer("health_check.min_interval", 0)
        most = self._runtime.integer("health_check.max_interval", _UNLIMITED)
        return max(1, min(milliseconds, most), least) / 1000
