"""Shares of priorities, and panic."""

from collections import Counter

import pytest

from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.endpoint import FAILED_EDS_HEALTH, Endpoint
from meshproxy.upstream.priorities import PriorityBalancer, PrioritySettings
from meshproxy.upstream.stats import ClusterStats


def group(priority: int, healthy: int, unhealthy: int) -> list[Endpoint]:
    made = [Endpoint((f"10.0.{priority}.{i}", 80), priority=priority) for i in range(healthy + unhealthy)]
    for endpoint in made[healthy:]:
        endpoint.set_health((FAILED_EDS_HEALTH,))
    return made


Made = tuple[PriorityBalancer, ClusterStats]


def make(*groups: tuple[int, int], threshold: int = 50, fail: bool = False) -> Made:
    stats = ClusterStats()
    settings = PrioritySettings()
    settings.panic_threshold, settings.zones.fail_on_panic = threshold, fail
    balancer = PriorityBalancer(RoundRobin(), stats, settings)
    balancer.update([each for priority, (good, bad) in enumerate(groups) for each in group(priority, good, bad)])
    return balancer, stats


def picks(balancer: PriorityBalancer, times: int = 400) -> tuple[Counter[int], Counter[bool]]:
    """How often each priority, and healthy or not."""
    found = [endpoint for _ in range(times) if (endpoint := balancer.pick(None)) is not None]
    return Counter(e.priority for e in found), Counter(e.healthy for e in found)


def test_unhealthy_endpoints_are_left_out() -> None:
    balancer, stats = make((3, 1))
    assert picks(balancer)[1] == {True: 400}
    assert stats.lb_healthy_panic == 0


def test_too_few_healthy_ones_are_panic() -> None:
    balancer, stats = make((1, 3))
    assert picks(balancer)[1] == {True: 100, False: 300}
    assert stats.lb_healthy_panic == 400


def test_half_is_enough() -> None:
    balancer, stats = make((2, 2))
    assert picks(balancer)[1] == {True: 400}
    assert stats.lb_healthy_panic == 0


@pytest.mark.parametrize(("groups", "threshold"), [(((0, 2),), 0), ((), 0)])
def test_without_panic_there_is_nothing_to_pick(groups: tuple[tuple[int, int], ...], threshold: int) -> None:
    balancer, stats = make(*groups, threshold=threshold)
    assert balancer.pick(None) is None
    assert stats.lb_healthy_panic == 0


def test_an_empty_cluster_panics_in_vain() -> None:
    balancer, stats = make()
    assert balancer.pick(None) is None
    assert stats.lb_healthy_panic == 1


def test_panic_may_fail_instead() -> None:
    balancer, stats = make((0, 2), fail=True)
    assert balancer.pick(None) is None
    assert stats.lb_healthy_panic == 1


def test_the_first_priority_takes_all_while_it_can() -> None:
    # 3 of 4 healthy times 1.4 is more than all.
    balancer, _ = make((3, 1), (4, 0))
    assert set(picks(balancer)[0]) == {0}


def test_what_one_priority_cannot_carry_goes_to_the_next() -> None:
    balancer, _ = make((1, 1), (2, 0))
    shares, healthy = picks(balancer, 4000)
    assert healthy == {True: 4000}
    assert 0.65 < shares[0] / 4000 < 0.75


def test_a_priority_without_health_is_passed_over() -> None:
    balancer, stats = make((0, 2), (2, 0))
    assert set(picks(balancer)[0]) == {1}
    assert stats.lb_healthy_panic == 0


def test_all_in_panic_share_by_size() -> None:
    balancer, _ = make((0, 3), (0, 1))
    shares, _ = picks(balancer, 4000)
    assert 0.7 < shares[0] / 4000 < 0.8


def test_health_that_comes_back_is_used() -> None:
    balancer, _ = make((0, 1), threshold=0)
    endpoint = Endpoint(("10.0.0.9", 80))
    balancer.update([endpoint])
    assert balancer.pick(None) is endpoint
