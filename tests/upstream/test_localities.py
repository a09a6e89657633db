"""Which locality is picked from: by weight, or the proxy's own zone first."""

from collections import Counter

import pytest

from meshproxy.upstream.balancers.random import Random
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.endpoint import DEGRADED_ACTIVE_HC, FAILED_ACTIVE_HC, Endpoint, Locality
from meshproxy.upstream.host_set import HostSet, group_endpoints
from meshproxy.upstream.priorities import PriorityBalancer, PrioritySettings
from meshproxy.upstream.stats import ClusterStats


def zone(name: str) -> Locality:
    return ("", name, "")


def members(name: str, count: int, weight: int = 0, bad: int = 0, flag: str = FAILED_ACTIVE_HC) -> list[Endpoint]:
    """`bad`: how many of them have the flag."""
    made = [Endpoint((f"{name}{i}", 80), locality=zone(name)) for i in range(count)]
    for i, endpoint in enumerate(made):
        endpoint.locality_weight = weight
        endpoint.set_health((flag,) if i < bad else ())
    return made


def grouped(endpoints: list[Endpoint], local: Locality) -> HostSet:
    grouping = group_endpoints(endpoints, local)
    while True:
        try:
            next(grouping)
        except StopIteration as done:
            found: HostSet = done.value[0]
            return found


def shares(balancer: PriorityBalancer, times: int = 4000) -> dict[str, float]:
    picked = [balancer.pick(None) for _ in range(times)]
    counts = Counter(endpoint.locality[1] for endpoint in picked if endpoint is not None)
    return {name: count / times for name, count in counts.items()}


def weighted(*endpoints: Endpoint) -> PriorityBalancer:
    settings = PrioritySettings()
    settings.locality_weighted = True
    balancer = PriorityBalancer(RoundRobin(), ClusterStats(), settings)
    balancer.update(list(endpoints))
    return balancer


def test_localities_by_weight_whatever_their_size() -> None:
    assert shares(weighted(*members("a", 1, 3), *members("b", 10, 1))) == {"a": 0.75, "b": 0.25}


def test_a_locality_loses_traffic_only_when_it_cannot_carry_it() -> None:
    # 3 of 4 times 1.4 is more than enough; 1 of 4 times 1.4 is a third of the weight.
    assert shares(weighted(*members("a", 4, 1, bad=1), *members("b", 4, 1))) == {"a": 0.5, "b": 0.5}
    found = shares(weighted(*members("a", 4, 1, bad=3), *members("b", 4, 1)))
    assert found["a"] == pytest.approx(0.35 / 1.35, abs=0.001)


def test_a_locality_without_weight_gets_nothing_unless_none_has_any() -> None:
    assert shares(weighted(*members("a", 1, 1), *members("b", 1))) == {"a": 1.0}
    assert shares(weighted(*members("a", 1), *members("b", 3))) == {"a": 0.25, "b": 0.75}


def test_degraded_endpoints_help_by_weight_too() -> None:
    every = [*members("a", 2, 1, bad=2, flag=DEGRADED_ACTIVE_HC), *members("b", 1, 3, bad=1, flag=DEGRADED_ACTIVE_HC)]
    assert shares(weighted(*every)) == {"a": 0.25, "b": 0.75}


def test_degraded_endpoints_carry_what_healthy_ones_cannot() -> None:
    balancer = PriorityBalancer(RoundRobin(), ClusterStats())
    balancer.update([*members("a", 1), *members("b", 3, bad=3, flag=DEGRADED_ACTIVE_HC)])
    assert balancer.loads.healthy == [35] and balancer.loads.degraded == [65]
    assert shares(balancer)["b"] == pytest.approx(0.65, abs=0.03)


def by_zone(local: list[Endpoint], there: list[Endpoint], size: int = 1) -> tuple[PriorityBalancer, ClusterStats]:
    """Of a proxy in zone a, whose own cluster is `local`."""
    settings = PrioritySettings()
    settings.local = zone("a")
    settings.zones.min_cluster_size = size
    settings.zones.locals = lambda: grouped(local, zone("a"))
    stats = ClusterStats()
    balancer = PriorityBalancer(Random(), stats, settings)
    balancer.update(there)
    return balancer, stats


def test_the_own_zone_carries_all_where_it_can() -> None:
    balancer, stats = by_zone([*members("a", 1), *members("b", 1)], [*members("a", 2), *members("b", 2)])
    assert shares(balancer, 100) == {"a": 1.0}
    assert stats.lb_zone_routing_all_directly == 100


def test_what_the_own_zone_cannot_carry_goes_where_there_is_room() -> None:
    # As in Envoy's own example: half of the callers are in a, a quarter of the endpoints.
    local = [*members("a", 2), *members("b", 1), *members("c", 1)]
    balancer, stats = by_zone(local, [*members("a", 1), *members("b", 1), *members("c", 2)])
    found = shares(balancer)
    assert found["a"] == pytest.approx(0.5, abs=0.03)
    assert found["c"] == pytest.approx(0.5, abs=0.03)
    assert stats.lb_zone_routing_sampled + stats.lb_zone_routing_cross_zone == 4000


@pytest.mark.parametrize(
    ("local", "there", "size", "counter"),
    [
        ([*members("a", 1), *members("b", 1)], [*members("a", 1), *members("b", 1)], 6, "lb_zone_cluster_too_small"),
        ([*members("b", 1), *members("c", 1)], [*members("a", 1), *members("b", 1)], 1, "lb_local_cluster_not_ok"),
        (members("a", 2), [*members("a", 1), *members("b", 1)], 1, ""),
        ([*members("a", 1), *members("b", 1)], members("a", 3), 1, ""),
    ],
)
def test_zones_do_not_count_where_they_cannot(
    local: list[Endpoint], there: list[Endpoint], size: int, counter: str
) -> None:
    balancer, stats = by_zone(local, there, size)
    shares(balancer, 100)
    assert not stats.lb_zone_routing_all_directly and not stats.lb_zone_routing_cross_zone
    assert not counter or getattr(stats, counter) == 1


def test_a_local_cluster_in_panic_means_nothing() -> None:
    local = [*members("a", 4, bad=3), *members("b", 4, bad=3)]
    balancer, stats = by_zone(local, [*members("a", 1), *members("b", 1)])
    assert set(shares(balancer, 100)) == {"a", "b"}
    assert stats.lb_local_cluster_not_ok == 100
