"""What a pick costs by policy, what one changed endpoint costs, and how long a change of thousands holds others up.

    python -m benchmarks.upstream.balancers [ENDPOINTS]

Times are CPU times of the thread that does it. A change of all endpoints goes on in slices; the longest stretch in
which nobody else had a turn is what a request may have to wait.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator
from random import getrandbits
from time import thread_time as now

import uvloop

from meshproxy.upstream.balancers.least_request import LeastRequest
from meshproxy.upstream.balancers.maglev import Maglev, MaglevStats
from meshproxy.upstream.balancers.random import Random
from meshproxy.upstream.balancers.ring_hash import RingHash, RingStats
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.hash_balancer import HashBalancer
from meshproxy.upstream.pool_settings import PoolSettings
from meshproxy.upstream.priorities import Balancer, PriorityBalancer
from meshproxy.upstream.stats import ClusterStats

Make = Callable[[], Balancer]

STATS = ClusterStats()
POLICIES: dict[str, Make] = {
    "round robin": lambda: PriorityBalancer(RoundRobin(), STATS),
    "least request": lambda: PriorityBalancer(LeastRequest(), STATS),
    "random": lambda: PriorityBalancer(Random(), STATS),
    "ring hash (1,024)": lambda: HashBalancer(RingHash(RingStats()), STATS),
    "ring hash (65,536)": lambda: HashBalancer(RingHash(RingStats(), 65536), STATS),
    "maglev": lambda: HashBalancer(Maglev(MaglevStats()), STATS),
}


class Keyed:
    """Something on its way to an endpoint, whose hash is known."""

    def __init__(self) -> None:
        self._number = getrandbits(64)

    def hash_key(self) -> int:
        return self._number


def endpoints(count: int, port: int = 80, weighted: bool = False) -> Iterator[Endpoint]:
    """Of other ports than 80, every tenth is another one than before."""
    for i in range(count):
        address = (f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", 80 if i % 10 else port)
        yield Endpoint(address, weight=1 + i % 3 if weighted else 1)


def best(work: Callable[[], object], times: int = 7) -> float:
    taken = []
    for _ in range(times):
        begin = now()
        work()
        taken.append(now() - begin)
    return min(taken)


def of_one(make: Make, count: int) -> tuple[float, float]:
    """Microseconds for a pick, milliseconds for new tables after one endpoint was replaced."""
    balancer = make()
    each = list(endpoints(count))
    balancer.update(each)
    keys = [Keyed() for _ in range(1000)]
    pick = best(lambda: [balancer.pick(key) for key in keys])
    spare = Endpoint(("10.99.99.99", 80))

    def replace_one() -> None:
        nonlocal spare
        each[count // 2], spare = spare, each[count // 2]
        balancer.update(each)

    return pick / len(keys) * 1e6, best(replace_one) * 1e3


async def of_all(make: Make, count: int) -> tuple[float, float]:
    """Milliseconds for a change of a cluster's endpoints, and the longest that others had to wait meanwhile."""
    cluster = Cluster("c", make(), PoolSettings(), STATS)
    await cluster.change_endpoints(endpoints(count))
    gaps: list[float] = []

    async def others() -> None:
        last = now()
        while True:
            await asyncio.sleep(0)
            gaps.append(now() - last)
            last = now()

    task = asyncio.create_task(others())
    begin = now()
    await cluster.change_endpoints(endpoints(count, port=81, weighted=True))
    taken = now() - begin
    task.cancel()
    return taken * 1e3, max(gaps) * 1e3


def main(count: int) -> None:
    print(f"{count:,} endpoints      pick µs   one replaced ms | ten times as many changed: ms   longest wait ms")
    for name, make in POLICIES.items():
        pick, change = of_one(make, count)
        whole, wait = uvloop.run(of_all(make, 10 * count))
        print(f"{name:20} {pick:8.2f} {change:16.2f}   {whole:28.0f} {wait:17.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
