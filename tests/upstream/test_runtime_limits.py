"""Thresholds that an operator sets while the proxy runs."""

from meshproxy.net.count import Count
from meshproxy.net.runtime import Runtime
from meshproxy.upstream.cluster import Clusters
from meshproxy.upstream.runtime_limits import RuntimeLimits
from tests.upstream.fakes import make_cluster


def test_they_come_and_go() -> None:
    clusters, runtime, other = Clusters(), Runtime(), Count(9)
    cluster = clusters.by_name["a.b"] = make_cluster(("10.0.0.1", 80))
    limits = RuntimeLimits(clusters, runtime, {"all": other})
    runtime.changed.append(limits.apply)
    default, high = cluster.limits
    runtime.set_layer(
        "admin",
        {
            "circuit_breakers.a.b.default.max_requests": 3,
            "circuit_breakers.a.b.high.max_connections": "4",
            "circuit_breakers.a.b.high.max_retries": "many",
            "circuit_breakers.a.b.low.max_requests": 1,
            "circuit_breakers.nobody.default.max_requests": 1,
            "circuit_breakers.": 1,
            "all": 2,
        },
    )
    assert (default.requests.maximum, high.connections.maximum, high.retries.maximum) == (3, 4, 3)
    assert other.maximum == 2
    runtime.set_layer("admin", {"circuit_breakers.a.b.default.max_requests": 5})
    assert (default.requests.maximum, high.connections.maximum) == (5, 1024)
    runtime.set_layer("admin", {})
    assert (default.requests.maximum, other.maximum) == (1024, 9)
