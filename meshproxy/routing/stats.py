"""What is counted of requests beside their cluster: by virtual cluster and by route (`vhost.<name>.*`)."""

from collections.abc import Callable, Iterator

from meshproxy.http.headers import Headers
from meshproxy.observe.stats import Histogram, Kind, StatGroup
from meshproxy.upstream.stats import Responses


class RequestStats(StatGroup):
    """`vhost.<host>.vcluster.<name>.*` and `vhost.<host>.route.<stat_prefix>.*`."""

    COUNTERS = ("upstream_rq_retry", "upstream_rq_retry_limit_exceeded", "upstream_rq_retry_overflow",
                "upstream_rq_retry_success", "upstream_rq_timeout", "upstream_rq_total")  # fmt: skip

    __slots__ = (*COUNTERS, "responses")

    def __init__(self) -> None:
        super().__init__()
        self.responses = Responses()

    def more(self) -> Iterator[tuple[Kind, str, int | Histogram]]:
        return self.responses.named("")


class VirtualCluster:
    """Requests of a virtual host that are counted under a name (envoy.config.route.v3.VirtualCluster).

    `name`: as logs print it; None for the one that counts what the others leave.
    """

    __slots__ = ("name", "stats", "takes")

    def __init__(self, name: str | None, takes: Callable[[Headers], bool], stats: RequestStats) -> None:
        self.name = name
        self.takes = takes
        self.stats = stats


def find_virtual_cluster(clusters: tuple[VirtualCluster, ...], headers: Headers) -> VirtualCluster | None:
    """The first one that takes the request; the last of them takes whatever the others do not."""
    for cluster in clusters:
        if cluster.takes(headers):
            return cluster
    return None
