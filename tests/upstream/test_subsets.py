"""Subsets as endpoints come and go; scenarios compare with Envoy what a route gets of them (upstream/subsets)."""

from collections import Counter
from typing import Any

from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.balancers.subset import ANY_ENDPOINT, Selector, SubsetBalancer, SubsetSettings
from meshproxy.upstream.endpoint import FAILED_ACTIVE_HC, Endpoint
from meshproxy.upstream.priorities import PriorityBalancer, PrioritySettings
from meshproxy.upstream.stats import ClusterStats


class Asking:
    """Something on its way to an endpoint with these metadata."""

    def __init__(self, **asked: Any) -> None:
        self._asked = asked

    def lb_metadata(self) -> dict[str, Any]:
        return self._asked


def endpoint(name: str, zone: str = "", weight: int = 0, **values: Any) -> Endpoint:
    made = Endpoint((name, 80), locality=("", zone, ""), metadata={"envoy.lb": values})
    made.locality_weight = weight
    return made


def build(settings: SubsetSettings, *endpoints: Endpoint, panic: int = 50) -> tuple[SubsetBalancer, ClusterStats]:
    stats = ClusterStats()

    def make() -> PriorityBalancer:
        own = PrioritySettings()
        own.locality_weighted, own.panic_threshold = True, panic
        return PriorityBalancer(RoundRobin(), stats, own)

    balancer = SubsetBalancer(make, stats, settings)
    balancer.update(list(endpoints))
    return balancer, stats


BY_VERSION = SubsetSettings((Selector(("version",)),))


def test_subsets_come_and_go_with_their_endpoints() -> None:
    one, two = endpoint("a", version="1"), endpoint("b", version="2")
    balancer, stats = build(BY_VERSION, one, two)
    assert (stats.lb_subsets_active, stats.lb_subsets_created) == (2, 2)
    balancer.update([two])
    assert (stats.lb_subsets_active, stats.lb_subsets_created, stats.lb_subsets_removed) == (1, 2, 1)
    assert balancer.pick(Asking(version="1")) is None
    assert balancer.pick(Asking(version="2")) is two


def test_metadata_may_change_in_place() -> None:
    only = endpoint("a", version="1")
    balancer, _ = build(BY_VERSION, only)
    only.metadata = {"envoy.lb": {"version": "2"}}
    balancer.update([only])
    assert balancer.pick(Asking(version="2")) is only


def test_a_subset_panics_by_itself() -> None:
    each = [endpoint(str(i), version="1") for i in range(4)]
    for bad in each[1:]:
        bad.set_health((FAILED_ACTIVE_HC,))
    balancer, stats = build(BY_VERSION, *each, endpoint("b", version="2"))
    assert {balancer.pick(Asking(version="1")) for _ in range(8)} == set(each)
    assert stats.lb_healthy_panic == 8


def test_values_of_different_kinds_differ() -> None:
    truth, number, text = endpoint("a", v=True), endpoint("b", v=1), endpoint("c", v="1")
    balancer, _ = build(SubsetSettings((Selector(("v",)),)), truth, number, text)
    assert [balancer.pick(Asking(v=value)) for value in (True, 1, "1")] == [truth, number, text]


def test_only_one_endpoint_has_room_in_a_single_host_subset() -> None:
    first = endpoint("a", version="1")
    first.set_health((FAILED_ACTIVE_HC,))
    settings = SubsetSettings((Selector(("version",), single_host=True),))
    balancer, _ = build(settings, first, endpoint("b", version="1"))
    assert balancer.pick(Asking(version="1")) is first
    assert balancer.duplicates == 1


def counted(balancer: SubsetBalancer, **asked: Any) -> Counter[str]:
    picked = [balancer.pick(Asking(**asked)) for _ in range(400)]
    return Counter(each.locality[1] for each in picked if each is not None)


def test_weights_of_localities_count_where_they_are_asked_to() -> None:
    every = [
        endpoint("a", "x", 1, version="1"), endpoint("b", "x", 1, version="2"), endpoint("c", "y", 3, version="1"),
    ]  # fmt: skip
    balancer, _ = build(BY_VERSION._replace(fallback=ANY_ENDPOINT), *every)
    assert counted(balancer, version="1") == {"x": 200, "y": 200}
    balancer, _ = build(BY_VERSION._replace(locality_aware=True), *every)
    assert counted(balancer, version="1") == {"x": 100, "y": 300}
    # Of x only one of two endpoints is in the subset; half of its weight of 1 is rounded up.
    every[2].locality_weight = 4
    every[0].locality_weight = every[1].locality_weight = 8
    balancer, _ = build(BY_VERSION._replace(locality_aware=True, scale_localities=True), *every)
    assert counted(balancer, version="1") == {"x": 200, "y": 200}
