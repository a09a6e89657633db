"""What checks come to, and when the next one is due: with probes that find what a test says."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import pytest
import uvloop

from meshproxy.net.runtime import Runtime
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Checking, Endpoint
from meshproxy.upstream.health.checker import HealthChecker
from meshproxy.upstream.health.cluster_checks import ClusterChecks
from meshproxy.upstream.health.events import HealthEvents, timestamp, to_line
from meshproxy.upstream.health.payload import contains
from meshproxy.upstream.health.session import ACTIVE, NETWORK, Session
from meshproxy.upstream.health.settings import HealthCheckSettings, HealthCheckStats
from meshproxy.upstream.host_states import HostStates
from tests.upstream.fakes import make_cluster, until

A, B = ("127.0.0.1", 1), ("127.0.0.1", 2)
LONG = 1000.0


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**arguments: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(test(**arguments), 30))

    return run


class Finding:
    """A probe that finds nothing by itself: a test does, through `session`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.begun = 0
        self.over = False

    def begin(self) -> None:
        self.begun += 1

    def timed_out(self) -> None: ...

    def close(self) -> None:
        self.over = True


class Checked:
    """A cluster with health checks, and the probes of each endpoint by its address."""

    def __init__(self, checkers: int = 1, ignores_new: bool = False, **settings: Any) -> None:
        self.cluster: Cluster = make_cluster()
        self.checks = ClusterChecks(self.cluster, HostStates(), ignores_new)
        self.probes: dict[Any, list[Finding]] = {}
        self.lines: list[str] = []
        wanted = {"timeout": LONG, "interval": LONG, "unhealthy_interval": LONG, **dict.fromkeys(
            ("unhealthy_edge_interval", "healthy_edge_interval", "no_traffic_interval", "no_traffic_healthy_interval"),
            LONG,
        ), "unhealthy_threshold": 2, "healthy_threshold": 2} | settings  # fmt: skip
        self.runtime = Runtime()
        for _ in range(checkers):
            events = HealthEvents("c", "TCP", (self.lines.append,))
            checker = HealthChecker(
                self.checks, HealthCheckSettings(**wanted), self._probe, HealthCheckStats(), events, self.runtime
            )  # fmt: skip
            self.checks.checkers.append(checker)
        self.cluster.watchers = (self.checks,)

    def _probe(self, session: Session) -> Finding:
        probe = Finding(session)
        self.probes.setdefault(session.endpoint.address, []).append(probe)
        return probe

    def start(self, *addresses: Any) -> list[Endpoint]:
        self.cluster.set_endpoints([Endpoint(address) for address in addresses])
        self.checks.start()
        return self.cluster.endpoints

    def session(self, address: Any = A, checker: int = 0) -> Session:
        return self.probes[address][checker].session

    def events(self) -> list[str]:
        names = ("add_healthy", "eject_unhealthy", "health_check_failure", "no_longer_degraded", "degraded_healthy")
        return [next(name for name in names if name in line) for line in self.lines]


@in_a_loop
async def test_the_first_result_counts_at_once_and_later_ones_by_thresholds() -> None:
    world = Checked()
    (endpoint,) = world.start(A)
    session = world.session()
    assert endpoint.health_flags == ("failed_active_hc",)
    session.succeeded()
    assert endpoint.health_flags == ()
    for _ in range(2):
        assert endpoint.healthy
        session.failed(NETWORK)
    assert not endpoint.healthy
    for _ in range(2):
        assert not endpoint.healthy
        session.succeeded()
    assert endpoint.healthy
    session.failed(ACTIVE)
    assert not endpoint.healthy
    stats = world.checks.checkers[0].stats
    assert (stats.success, stats.failure, stats.network_failure, stats.healthy) == (3, 3, 2, 0)
    assert world.events() == ["add_healthy", "eject_unhealthy", "add_healthy", "eject_unhealthy"]


@in_a_loop
async def test_a_success_between_failures_begins_the_count_anew() -> None:
    world = Checked()
    (endpoint,) = world.start(A)
    session = world.session()
    session.succeeded()
    for _ in range(3):
        session.failed(ACTIVE, retriable=True)
        session.succeeded()
    assert endpoint.healthy


@in_a_loop
async def test_degraded_is_told_with_its_end() -> None:
    world = Checked()
    (endpoint,) = world.start(A)
    session = world.session()
    session.succeeded(degraded=True)
    assert (endpoint.healthy, endpoint.degraded) == (False, True)
    session.succeeded()
    assert endpoint.healthy
    assert world.events() == ["add_healthy", "degraded_healthy", "no_longer_degraded"]


@in_a_loop
async def test_intervals() -> None:
    world = Checked(
        interval=1.0, unhealthy_interval=2.0, unhealthy_edge_interval=3.0, healthy_edge_interval=4.0,
        no_traffic_interval=5.0, no_traffic_healthy_interval=6.0,
    )  # fmt: skip
    (checker,) = world.checks.checkers
    results = [(healthy, not_yet) for healthy in (True, False) for not_yet in (False, True)]
    assert [checker.wait_after(*result) for result in results] == [6, 5, 5, 5]
    world.cluster.stats.upstream_cx_total += 1
    assert [checker.wait_after(*result) for result in results] == [1, 4, 2, 3]
    world.runtime.set_layer("l", {"health_check.min_interval": 1500, "health_check.max_interval": 2500})
    assert [checker.wait_after(*result) for result in results] == [1.5, 2.5, 2, 2.5]
    world.runtime.set_layer("l", {"health_check.max_interval": 0})
    assert checker.wait_after(True, False) == 0.001


@in_a_loop
async def test_jitter_is_added_and_has_its_bounds() -> None:
    world = Checked(interval=1.0, interval_jitter=0.5, interval_jitter_percent=10, initial_jitter=0.2)
    world.cluster.stats.upstream_cx_total += 1
    (checker,) = world.checks.checkers
    waits = [checker.wait_after(True, False) for _ in range(200)]
    assert min(waits) >= 1 and max(waits) <= 1.6 and len(set(waits)) > 20
    assert 0 < max(checker.initial_wait() for _ in range(50)) <= 0.2


@in_a_loop
async def test_a_check_that_takes_too_long_has_failed() -> None:
    world = Checked(timeout=0.01, unhealthy_threshold=1)
    (endpoint,) = world.start(A)
    await until(lambda: "active_hc_timeout" in endpoint.health_flags)
    assert world.checks.checkers[0].stats.network_failure == 1
    world.cluster.close()


@in_a_loop
async def test_warm_once_every_endpoint_has_had_a_result_or_has_left() -> None:
    world = Checked()
    world.start(A, B)
    warm = asyncio.ensure_future(world.cluster.warm())
    world.session(A).failed(NETWORK)
    await asyncio.sleep(0)
    assert not warm.done()
    world.cluster.set_endpoints([Endpoint(A)])
    await warm
    assert world.probes[B][0].over
    # What comes later is checked, and nobody waits for it.
    world.cluster.set_endpoints([Endpoint(A), Endpoint(B)])
    assert len(world.probes[B]) == 2


@in_a_loop
async def test_endpoints_that_are_not_to_be_checked() -> None:
    world = Checked()
    unchecked = Endpoint(A)
    unchecked.checking = Checking(disabled=True)
    world.cluster.set_endpoints([unchecked])
    world.checks.start()
    assert unchecked.healthy and not world.probes
    await world.cluster.warm()
    world.cluster.set_endpoints([])


@in_a_loop
async def test_new_endpoints_do_not_count_before_their_first_check() -> None:
    world = Checked(ignores_new=True)
    (endpoint,) = world.start(A)
    assert endpoint.excluded
    assert world.cluster.stats.membership_excluded == 1
    world.session().failed(NETWORK)
    await until(lambda: world.cluster.stats.membership_excluded == 0)
    assert endpoint.health_flags == ("failed_active_hc",)


@in_a_loop
async def test_removed_while_healthy_it_serves_until_it_fails() -> None:
    world = Checked()
    world.cluster.keeps_healthy = True
    world.start(A, B)
    world.session(A).succeeded()
    world.cluster.set_endpoints([])
    (endpoint,) = world.cluster.endpoints
    assert (endpoint.address, endpoint.health_flags) == (A, ("pending_dynamic_removal",))
    world.session(A).failed(ACTIVE)
    await until(lambda: world.cluster.stats.membership_total == 0)
    assert world.probes[A][0].over


@in_a_loop
async def test_removed_while_healthy_and_named_again_it_is_as_before() -> None:
    world = Checked()
    world.cluster.keeps_healthy = True
    (endpoint,) = world.start(A)
    world.session().succeeded()
    world.cluster.set_endpoints([])
    world.cluster.set_endpoints([Endpoint(A)])
    assert world.cluster.endpoints == [endpoint]
    assert endpoint.health_flags == ()


@in_a_loop
async def test_several_checkers_find_it_well_together() -> None:
    world = Checked(checkers=2, unhealthy_threshold=1, healthy_threshold=1)
    (endpoint,) = world.start(A)
    first, second = (world.session(A, checker) for checker in (0, 1))
    first.succeeded()
    # Nothing is said before the other one has had a result.
    assert endpoint.health_flags == ("failed_active_hc",)
    second.succeeded()
    assert endpoint.healthy
    first.failed(ACTIVE)
    assert not endpoint.healthy
    second.succeeded()
    assert not endpoint.healthy
    assert world.checks.stats.healthy == 0
    first.succeeded()
    assert endpoint.healthy
    assert world.checks.stats.healthy == 1
    world.cluster.set_endpoints([])
    assert world.checks.stats.healthy == 0


@pytest.mark.parametrize(
    ("data", "segments", "found"),
    [
        (b"", [], True), (b"abc", [b"b"], True), (b"a-b", [b"a", b"b"], True), (b"b-a", [b"a", b"b"], False),
        (b"ab", [b"ab", b"b"], False), (b"", [b"a"], False),
    ],
)  # fmt: skip
def test_payloads(data: bytes, segments: list[bytes], found: bool) -> None:
    assert contains(data, segments) is found


def test_times_and_text_as_protobuf_writes_them() -> None:
    assert timestamp(1.25) == "1970-01-01T00:00:01.250Z"
    assert timestamp(2.0) == "1970-01-01T00:00:02Z"
    assert to_line({"a": "é"}).encode("latin-1") == '{"a":"é"}\n'.encode()
