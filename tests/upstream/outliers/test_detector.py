"""Ejections: how long they last, and what an endpoint that comes or goes does to them."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import pytest
import uvloop

from meshproxy.http.headers import RequestHeaders, ResponseHeaders
from meshproxy.net.runtime import Runtime
from meshproxy.net.shared_numbers import SharedNumbers
from meshproxy.upstream.cluster import Cluster, Clusters
from meshproxy.upstream.endpoint import FAILED_OUTLIER_CHECK, Endpoint
from meshproxy.upstream.host_states import HostStates, State
from meshproxy.upstream.outliers.detector import OutlierDetector
from meshproxy.upstream.outliers.events import OutlierEvents
from meshproxy.upstream.outliers.monitor import OutlierMonitor
from meshproxy.upstream.outliers.settings import OutlierSettings
from meshproxy.upstream.outliers.tally import Tallies
from tests.upstream.fakes import make_cluster, until

A, B = ("127.0.0.1", 1), ("127.0.0.1", 2)
GET = RequestHeaders("GET", "/", "a", [])


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**arguments: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(test(**arguments), 30))

    return run


def watched(states: HostStates | None = None, runtime: Runtime | None = None, **settings: Any) -> Cluster:
    cluster = make_cluster()
    states = states or HostStates()
    wanted = OutlierSettings(consecutive_5xx=1, max_ejection_percent=100, **settings)
    events = OutlierEvents("c", None)
    tallies = Tallies(states.numbers, 4)
    detector = OutlierDetector(cluster, wanted, tallies, events, states, runtime or Runtime())
    cluster.watchers = (detector,)
    return cluster


def fail(endpoint: Endpoint) -> None:
    assert endpoint.monitor is not None
    endpoint.monitor.on_headers(GET, ResponseHeaders(500, []))


def is_out(endpoint: Endpoint) -> bool:
    return FAILED_OUTLIER_CHECK in endpoint.health_flags


async def eject(endpoint: Endpoint) -> None:
    fail(endpoint)
    await until(lambda: is_out(endpoint))


@in_a_loop
async def test_each_ejection_is_longer_than_the_one_before_up_to_the_longest() -> None:
    cluster = watched(interval_ms=20, base_ejection_time_ms=10, max_ejection_time_ms=25)
    cluster.set_endpoints([Endpoint(A)])
    (endpoint,) = cluster.endpoints
    monitor = endpoint.monitor
    assert isinstance(monitor, OutlierMonitor)
    cluster.watchers[0].start()
    for times in (1, 2, 3, 4, 4):
        await eject(endpoint)
        assert monitor.backoff == times
        await until(lambda: not is_out(endpoint))
    assert monitor.ejections == 5
    # Of one that is well the next ejection is shorter again.
    await until(lambda: monitor.backoff == 0)
    cluster.close()


@in_a_loop
async def test_percentages_of_the_runtime_go_before_those_of_the_configuration() -> None:
    runtime = Runtime()
    cluster = watched(runtime=runtime)
    cluster.set_endpoints([Endpoint(A), Endpoint(B)])
    stats = cluster.watchers[0].stats  # type: ignore[attr-defined]
    runtime.set_layer("l", {"outlier_detection.enforcing_consecutive_5xx": 0})
    fail(cluster.endpoints[0])
    await until(lambda: stats.ejections_total == 1)
    assert not is_out(cluster.endpoints[0])
    runtime.set_layer("l", {"outlier_detection.max_ejection_percent": 49})
    fail(cluster.endpoints[0])
    await until(lambda: stats.ejections_overflow == 1)
    runtime.set_layer("l", {"outlier_detection.consecutive_5xx": 2})
    fail(cluster.endpoints[0])
    await eject(cluster.endpoints[0])
    assert stats.ejections_active == 1


@in_a_loop
async def test_an_ejected_endpoint_that_leaves_makes_room() -> None:
    cluster = watched()
    cluster.set_endpoints([Endpoint(A), Endpoint(B)])
    await eject(cluster.endpoints[0])
    stats = cluster.watchers[0].stats  # type: ignore[attr-defined]
    assert (stats.ejections_active, cluster.stats.membership_healthy) == (1, 1)
    cluster.set_endpoints([Endpoint(B)])
    assert stats.ejections_active == 0
    # One that comes back is a new one.
    cluster.set_endpoints([Endpoint(A), Endpoint(B)])
    assert not is_out(cluster.endpoints[0])


class World:
    """Main and a worker in one process; what one tells the other waits until it is handed over."""

    def __init__(self) -> None:
        self.numbers = SharedNumbers(1)
        self.main, self.worker = HostStates(self.numbers), HostStates(self.numbers)
        self.of_main, self.of_worker = watched(self.main), watched(self.worker)
        self.numbers.share()
        self.told: list[list[State]] = []
        self.main.to_workers = self.told.append
        self.worker.to_main = self.report

    def enter(self, worker: bool) -> None:
        self.numbers.join(0 if worker else 1)

    def report(self, *report: Any) -> None:
        clusters = Clusters()
        clusters.by_name["c"] = self.of_main
        self.enter(worker=False)
        self.main.take_report(clusters, *report)
        self.enter(worker=True)

    async def hand_over(self) -> None:
        await until(lambda: bool(self.told))
        clusters = Clusters()
        clusters.by_name["c"] = self.of_worker
        self.enter(worker=True)
        for states in self.told:
            self.worker.learn(clusters, states)
        self.told.clear()


@pytest.mark.parametrize("known_first", ["main", "worker"])
@in_a_loop
async def test_endpoints_that_come_later_are_counted_and_ejected_together(known_first: str) -> None:
    world = World()
    if known_first == "worker":
        world.enter(worker=True)
        world.of_worker.set_endpoints([Endpoint(A)])
    world.enter(worker=False)
    world.of_main.set_endpoints([Endpoint(A)])
    await world.hand_over()
    if known_first == "main":
        world.of_worker.set_endpoints([Endpoint(A)])
    (ours,), (theirs,) = world.of_main.endpoints, world.of_worker.endpoints
    assert ours.monitor is not None and theirs.monitor is not None
    assert theirs.monitor.slot == ours.monitor.slot >= 0
    fail(theirs)
    assert is_out(ours)
    assert not is_out(theirs)
    await world.hand_over()
    assert is_out(theirs)
    # A worker that is started now hears of it too.
    assert world.main.said() == [("c", A, ((FAILED_OUTLIER_CHECK,), ours.monitor.slot))]
    world.enter(worker=False)
    world.of_main.set_endpoints([])
    assert world.main.said() == []
