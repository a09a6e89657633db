from meshproxy.process import endpoint_counts
from meshproxy.upstream.cluster import Clusters
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.original_dst import OriginalDst
from tests.upstream.fakes import make_cluster


def clusters(*addresses: tuple[str, int]) -> Clusters:
    found = Clusters()
    found.by_name["a"] = make_cluster(*addresses)
    return found


def test_counts_are_added_up_and_shown() -> None:
    one, two, main = clusters(("h", 1), ("h", 2)), clusters(("h", 1)), clusters(("h", 1), ("h", 2), ("h", 3))
    one.by_name["a"].endpoints[0].stats.rq_total = 3
    one.by_name["a"].endpoints[0].stats.rq_active = 1
    two.by_name["a"].endpoints[0].stats.rq_total = 4
    gone = endpoint_counts.without_gauges(endpoint_counts.take(one))
    counts = endpoint_counts.merge([endpoint_counts.take(one), endpoint_counts.take(two), gone])
    endpoint_counts.put(main, counts)
    first, second, third = (endpoint.stats for endpoint in main.by_name["a"].endpoints)
    assert (first.rq_total, first.rq_active) == (10, 1)
    assert (second.rq_total, third.rq_total) == (0, 0)


def test_destinations_that_workers_found_are_shown() -> None:
    main, worker = clusters(), clusters()
    for each in (main, worker):
        cluster = each.by_name["a"]
        cluster.balancer = cluster.discovery = OriginalDst(cluster)
    worker.by_name["a"].add_endpoint(Endpoint(("10.0.0.1", 80)))
    worker.by_name["a"].endpoints[0].stats.rq_total = 5
    endpoint_counts.put(main, endpoint_counts.take(worker))
    (shown,) = main.by_name["a"].endpoints
    assert (shown.address, shown.hostname, shown.stats.rq_total) == (("10.0.0.1", 80), "c10.0.0.1:80", 5)
    endpoint_counts.put(main, {})
    assert main.by_name["a"].endpoints == []
