"""Which endpoint is picked how often."""

from collections import Counter
from collections.abc import Callable

import pytest

from meshproxy.upstream.balancers.least_request import LeastRequest
from meshproxy.upstream.balancers.random import Random
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.priorities import Balancer

ALL: list[Callable[[], Balancer]] = [RoundRobin, LeastRequest, Random, lambda: LeastRequest(full_scan=True)]


def endpoints(*weights: int) -> list[Endpoint]:
    return [Endpoint(("127.0.0.1", port), weight=weight) for port, weight in enumerate(weights, 1)]


def picked(balancer: Balancer, times: int) -> Counter[int]:
    found = [balancer.pick(None) for _ in range(times)]
    return Counter(endpoint.address[1] for endpoint in found if endpoint is not None)


@pytest.mark.parametrize("make", ALL)
def test_nothing_is_picked_from_nothing(make: Callable[[], Balancer]) -> None:
    balancer = make()
    assert balancer.pick(None) is None
    balancer.update(endpoints(1, 1))
    balancer.update([])
    assert balancer.pick(None) is None


@pytest.mark.parametrize("make", ALL)
def test_every_endpoint_has_its_turn(make: Callable[[], Balancer]) -> None:
    balancer = make()
    balancer.update(endpoints(1, 1, 1))
    assert set(picked(balancer, 200)) == {1, 2, 3}


def test_round_robin_goes_round() -> None:
    balancer = RoundRobin()
    balancer.update(endpoints(3, 3, 3))
    assert picked(balancer, 30) == {1: 10, 2: 10, 3: 10}


def test_round_robin_keeps_to_weights_within_one_cycle() -> None:
    balancer = RoundRobin()
    balancer.update(endpoints(1, 2, 5))
    for _ in range(5):
        assert picked(balancer, 8) == {1: 1, 2: 2, 3: 5}


def test_round_robin_spreads_a_heavy_endpoint() -> None:
    balancer = RoundRobin()
    balancer.update(endpoints(1, 1, 2))
    order = [balancer.pick(None) for _ in range(40)]
    ports = [endpoint.address[1] for endpoint in order if endpoint is not None]
    assert all(ports[i : i + 3] != [3, 3, 3] for i in range(len(ports)))


def test_least_request_avoids_load() -> None:
    balancer = LeastRequest(choice_count=64)
    busy, idle = endpoints(1, 1)
    busy.stats.rq_active = 5
    balancer.update([busy, idle])
    assert picked(balancer, 50)[2] == 50


def test_least_request_scans_all() -> None:
    balancer = LeastRequest(full_scan=True)
    each = endpoints(1, 1, 1, 1)
    for endpoint in each[:2]:
        endpoint.stats.rq_active = 1
    balancer.update(each)
    assert set(picked(balancer, 100)) == {3, 4}


def test_least_request_with_weights_counts_load_against_weight() -> None:
    balancer = LeastRequest()
    light, heavy = endpoints(1, 4)
    balancer.update([light, heavy])
    assert picked(balancer, 50) == {1: 10, 2: 40}
    heavy.stats.rq_active = 7
    balancer.update([light, heavy])
    assert picked(balancer, 60) == {1: 40, 2: 20}


def test_least_request_bias_of_zero_ignores_load() -> None:
    balancer = LeastRequest(bias=0.0)
    light, heavy = endpoints(1, 3)
    heavy.stats.rq_active = 100
    balancer.update([light, heavy])
    assert picked(balancer, 40) == {1: 10, 2: 30}
