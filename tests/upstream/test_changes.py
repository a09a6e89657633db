"""Thousands of endpoints change in slices: until the new tables are whole, the old ones serve."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from meshproxy.upstream.balancers.maglev import Maglev, MaglevStats
from meshproxy.upstream.balancers.ring_hash import RingHash, RingStats
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.balancers.subset import Selector, SubsetBalancer, SubsetSettings
from meshproxy.upstream.cluster import Cluster, Clusters
from meshproxy.upstream.endpoint import FAILED_ACTIVE_HC, Endpoint
from meshproxy.upstream.hash_balancer import HashBalancer
from meshproxy.upstream.pool_settings import PoolSettings
from meshproxy.upstream.priorities import Balancer, PriorityBalancer
from meshproxy.upstream.stats import ClusterStats
from tests.upstream.fakes import begin, make_cluster, settled, until, upstream

STATS = ClusterStats()


def round_robin() -> PriorityBalancer:
    return PriorityBalancer(RoundRobin(), STATS)


BALANCERS: dict[str, Callable[[], Balancer]] = {
    "round robin": round_robin,
    "ring hash": lambda: HashBalancer(RingHash(RingStats()), STATS),
    "maglev": lambda: HashBalancer(Maglev(MaglevStats()), STATS),
    "subsets": lambda: SubsetBalancer(round_robin, STATS, SubsetSettings((Selector(("v",)),))),
}


def endpoints(count: int, first: int = 0) -> Iterator[Endpoint]:
    for i in range(first, first + count):
        yield Endpoint((f"10.0.{i >> 8}.{i & 255}", 80), weight=1 + i % 2, metadata={"envoy.lb": {"v": "1"}})


@pytest.mark.parametrize("name", BALANCERS)
def test_work_is_done_in_pieces(name: str) -> None:
    assert sum(1 for _ in BALANCERS[name]().rebuild(list(endpoints(3000)))) >= 10


def make(count: int) -> Cluster:
    cluster = Cluster("c", round_robin(), PoolSettings())
    cluster.set_endpoints(list(endpoints(count)))
    return cluster


def test_old_endpoints_serve_until_the_new_tables_are_there() -> None:
    async def work() -> None:
        cluster = make(3)
        told: list[int] = []
        cluster.changed.append(lambda: told.append(len(cluster.endpoints)))
        before = set(cluster.endpoints)
        change = asyncio.create_task(cluster.change_endpoints(endpoints(5000, first=100)))
        old: list[bool] = []
        while not change.done():
            picked = cluster.balancer.pick(None)
            assert picked is not None
            old.append(picked in before)
            assert not (old[-1] and told)
            await asyncio.sleep(0)
        # From one turn to the next, and for good.
        assert sum(old) > 5 and old == sorted(old, reverse=True) and told == [5000]
        assert cluster.balancer.pick(None) in set(cluster.endpoints)

    asyncio.run(work())


def test_what_changes_meanwhile_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is done at once.
    monkeypatch.setattr("meshproxy.upstream.cluster._AT_ONCE", 0.0)

    async def work() -> None:
        cluster = make(3)
        bad = cluster.endpoints[0]
        cluster.refresh()
        bad.set_health((FAILED_ACTIVE_HC,))
        cluster.refresh()
        await cluster.settled()
        assert bad not in {cluster.balancer.pick(None) for _ in range(9)}
        cluster.refresh()
        cluster.close()
        await asyncio.sleep(0)

    asyncio.run(work())


def test_a_cluster_is_warm_once_it_can_be_picked_from() -> None:
    class Finds:
        """Finds endpoints at once."""

        def __init__(self, cluster: Cluster) -> None:
            self._cluster = cluster

        def start(self) -> None:
            self._cluster.set_endpoints(list(endpoints(200)))

        async def wait(self) -> None: ...

        def close(self) -> None: ...

    async def work() -> None:
        clusters = Clusters()
        cluster = clusters.by_name["c"] = Cluster("c", BALANCERS["maglev"](), PoolSettings())
        cluster.discovery = Finds(cluster)
        clusters.start()
        await clusters.warm()
        assert cluster.balancer.pick(None) is not None

    asyncio.run(work())


def test_a_ring_is_the_same_however_it_came_about() -> None:
    every = list(endpoints(40))
    numbers = [i << 56 for i in range(256)]

    def picks(balancer: HashBalancer) -> list[Endpoint | None]:
        return [balancer._tables[0].choose(number, 0) for number in numbers]

    grown = HashBalancer(RingHash(RingStats()), STATS)
    for count in (30, 31, 40, 20, 39, 40):
        grown.update(every[:count])
    fresh = HashBalancer(RingHash(RingStats()), STATS)
    fresh.update(every)
    assert picks(grown) == picks(fresh)
    # An endpoint that is called otherwise has other places.
    every[3].adopt(Endpoint(every[3].address, metadata={"envoy.lb": {"hash_key": "x"}}))
    grown.update(every)
    assert picks(grown) != picks(fresh)
    fresh = HashBalancer(RingHash(RingStats()), STATS)
    fresh.update(every)
    assert picks(grown) == picks(fresh)


def test_a_ring_forgets_endpoints_that_have_left() -> None:
    balancer = HashBalancer(RingHash(RingStats(), 16), STATS)
    for first in range(0, 4000, 50):
        balancer.update(list(endpoints(50, first)))
    assert len(balancer._tables[0].source.members) < 1300  # type: ignore[attr-defined]


def test_connections_end_where_a_change_is_to_end_them() -> None:
    async def work() -> None:
        async with upstream() as server:
            cluster = make_cluster(server.address)
            cluster.drain_on_change = True
            attempt = begin(cluster)
            await attempt.done.wait()
            await until(lambda: cluster.stats.upstream_cx_active == 1)
            cluster.set_endpoints([Endpoint(server.address), Endpoint(("127.0.0.1", 1))])
            await until(lambda: cluster.stats.upstream_cx_active == 0)
            assert cluster.stats.upstream_cx_destroy_local == 1
            cluster.close()
            await until(lambda: settled(cluster))

    asyncio.run(work())
