"""Which endpoint is picked how often."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from meshproxy.upstream.balancers.least_request import LeastRequest
from meshproxy.upstream.balancers.random import Random
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.balancers.slow_start import SlowStart
from meshproxy.upstream.balancers.table import Policy
from meshproxy.upstream.endpoint import FAILED_ACTIVE_HC, Endpoint
from meshproxy.upstream.priorities import PriorityBalancer
from meshproxy.upstream.stats import ClusterStats

Make = Callable[[], Policy]
ALL: list[Make] = [RoundRobin, LeastRequest, Random, lambda: LeastRequest(full_scan=True)]


def endpoints(*weights: int) -> list[Endpoint]:
    return [Endpoint(("127.0.0.1", port), weight=weight) for port, weight in enumerate(weights, 1)]


def balancing(policy: Policy, each: list[Endpoint]) -> PriorityBalancer:
    balancer = PriorityBalancer(policy, ClusterStats())
    balancer.update(each)
    return balancer


def picked(balancer: PriorityBalancer, times: int) -> Counter[int]:
    found = [balancer.pick(None) for _ in range(times)]
    return Counter(endpoint.address[1] for endpoint in found if endpoint is not None)


@pytest.mark.parametrize("make", ALL)
def test_nothing_is_picked_from_nothing(make: Make) -> None:
    balancer = balancing(make(), [])
    assert balancer.pick(None) is None
    balancer.update(endpoints(1, 1))
    balancer.update([])
    assert balancer.pick(None) is None


@pytest.mark.parametrize("make", ALL)
def test_every_endpoint_has_its_turn(make: Make) -> None:
    balancer = balancing(make(), endpoints(1, 1, 1))
    assert set(picked(balancer, 200)) == {1, 2, 3}


def test_round_robin_goes_round() -> None:
    balancer = balancing(RoundRobin(), endpoints(3, 3, 3))
    assert picked(balancer, 30) == {1: 10, 2: 10, 3: 10}


def test_round_robin_keeps_to_weights_within_one_cycle() -> None:
    balancer = balancing(RoundRobin(), endpoints(1, 2, 5))
    for _ in range(5):
        assert picked(balancer, 8) == {1: 1, 2: 2, 3: 5}


def test_round_robin_spreads_a_heavy_endpoint() -> None:
    balancer = balancing(RoundRobin(), endpoints(1, 1, 2))
    order = [balancer.pick(None) for _ in range(40)]
    ports = [endpoint.address[1] for endpoint in order if endpoint is not None]
    assert all(ports[i : i + 3] != [3, 3, 3] for i in range(len(ports)))


def test_least_request_avoids_load() -> None:
    busy, idle = endpoints(1, 1)
    busy.stats.rq_active = 5
    balancer = balancing(LeastRequest(choice_count=64), [busy, idle])
    assert picked(balancer, 50)[2] == 50


def test_least_request_scans_all() -> None:
    each = endpoints(1, 1, 1, 1)
    for endpoint in each[:2]:
        endpoint.stats.rq_active = 1
    balancer = balancing(LeastRequest(full_scan=True), each)
    assert set(picked(balancer, 100)) == {3, 4}


def test_least_request_with_weights_counts_load_against_weight() -> None:
    light, heavy = endpoints(1, 4)
    balancer = balancing(LeastRequest(), [light, heavy])
    assert picked(balancer, 50) == {1: 10, 2: 40}
    heavy.stats.rq_active = 7
    balancer.update([light, heavy])
    assert picked(balancer, 60) == {1: 40, 2: 20}


def test_least_request_bias_of_zero_ignores_load() -> None:
    light, heavy = endpoints(1, 3)
    heavy.stats.rq_active = 100
    balancer = balancing(LeastRequest(bias=0.0), [light, heavy])
    assert picked(balancer, 40) == {1: 10, 2: 30}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("make", [RoundRobin, lambda slow: LeastRequest(slow_start=slow)])
def test_slow_start_gives_more_and_more(make: Callable[[Any], Policy]) -> None:
    clock = Clock()
    old, young = endpoints(1, 1)
    balancer = balancing(make(SlowStart(10.0, 0.2, now=clock)), [old])
    clock.now += 100
    balancer.update([old, young])
    shares = []
    for seconds in (0, 5, 4.9, 0.1):
        clock.now += seconds
        # An entry of the turn is weighed anew when it was picked: the first round is by older weights.
        picked(balancer, 20)
        shares.append(picked(balancer, 600)[2] / 600)
    assert shares == pytest.approx([0.2 / 1.2, 0.5 / 1.5, 0.99 / 1.99, 0.5], abs=0.01)


def test_aggression_makes_it_faster_at_first() -> None:
    clock = Clock()
    old, young = endpoints(1, 1)
    balancer = balancing(RoundRobin(SlowStart(10.0, 0.1, aggression=2.0, now=clock)), [old])
    clock.now += 100
    balancer.update([old, young])
    clock.now += 2.5
    picked(balancer, 20)
    assert picked(balancer, 600)[2] / 600 == pytest.approx(0.5 / 1.5, abs=0.01)


def test_slow_start_begins_when_it_becomes_healthy() -> None:
    clock = Clock()
    old, other = endpoints(1, 1)
    other.set_health((FAILED_ACTIVE_HC,))
    balancer = balancing(RoundRobin(SlowStart(10.0, now=clock)), [old, other])
    clock.now += 100
    other.set_health(())
    balancer.update([old, other])
    assert picked(balancer, 220)[2] == pytest.approx(20, abs=2)
