"""Sets of endpoints, limits and what is shown of them."""

from meshproxy.net.count import UNLIMITED, Counts
from meshproxy.net.runtime import Runtime
from meshproxy.observe.stats import Histogram
from meshproxy.upstream.endpoint import FAILED_EDS_HEALTH, Endpoint
from meshproxy.upstream.limits import Limits
from meshproxy.upstream.stats import EXTERNAL, INTERNAL, ClusterStats
from tests.upstream.fakes import make_cluster

A, B, C = ("10.0.0.1", 80), ("10.0.0.2", 80), ("10.0.0.3", 80)


def test_endpoints_that_stay_keep_their_pools_and_take_what_is_new() -> None:
    cluster = make_cluster(A, B)
    first = cluster.endpoints[0]
    pool = cluster.pool(first)
    first.stats.rq_active = 3
    cluster.set_endpoints([Endpoint(C), Endpoint(A, weight=7, metadata={"envoy.lb": {"canary": True}})])
    assert [endpoint.address for endpoint in cluster.endpoints] == [C, A]
    assert cluster.endpoints[1] is first
    assert (first.weight, first.canary, first.stats.rq_active) == (7, True, 3)
    assert first.pools[0] is pool
    assert cluster.stats.membership_total == 2


def test_membership_changes_only_with_its_members() -> None:
    cluster = make_cluster(A, B)
    assert cluster.stats.membership_change == 1
    cluster.set_endpoints([Endpoint(B), Endpoint(A, weight=2)])
    assert cluster.stats.membership_change == 1
    cluster.set_endpoints([Endpoint(B)])
    assert cluster.stats.membership_change == 2


def test_configured_health_is_replaced_and_found_health_stays() -> None:
    cluster = make_cluster(A)
    endpoint = cluster.endpoints[0]
    endpoint.set_health(("failed_active_hc",))
    sick = Endpoint(A)
    sick.set_health((FAILED_EDS_HEALTH,))
    cluster.set_endpoints([sick])
    assert endpoint.health_flags == ("failed_active_hc", FAILED_EDS_HEALTH)
    assert cluster.stats.membership_healthy == 0
    cluster.set_endpoints([Endpoint(A)])
    assert endpoint.health_flags == ("failed_active_hc",)


def test_maintenance_is_a_runtime_value() -> None:
    cluster = make_cluster(A)
    cluster.runtime = Runtime()
    assert not cluster.in_maintenance()
    cluster.runtime.set_layer("admin", {"upstream.maintenance_mode.c": 100})
    assert cluster.in_maintenance()


def test_gauges_of_limits() -> None:
    limits = Limits(Counts())
    limits.connections.maximum, limits.retries.maximum = 2, 0
    limits.connections.add()
    assert limits.cx_open == 0
    assert limits.cx_open is not False
    for never_used in (limits.cx_pool_open, limits.rq_open, limits.rq_pending_open, limits.rq_retry_open):
        assert never_used is False
    limits.connections.add()
    assert limits.cx_open == 1
    assert not dict(limits.remaining())
    limits.track_remaining = True
    assert dict(limits.remaining()) == {
        "remaining_cx": 0, "remaining_cx_pools": UNLIMITED, "remaining_pending": 1024, "remaining_retries": 0,
        "remaining_rq": 1024,
    }  # fmt: skip


def test_a_retry_budget_takes_the_place_of_the_number() -> None:
    limits = Limits(Counts())
    limits.retries.maximum = 1
    limits.retry_budget = 20.0
    limits.track_remaining = True
    assert dict(limits.remaining())["remaining_retries"] == 0
    assert limits.allowed_retries() == 3
    limits.requests.own, limits.pending.own = 90, 10
    assert limits.allowed_retries() == 20


def test_responses_are_shown_by_origin_and_in_sum() -> None:
    stats = ClusterStats()
    stats.responses_of(EXTERNAL).charge(200)
    stats.responses_of(EXTERNAL).charge(503)
    stats.responses_of(INTERNAL).charge(200)
    stats.responses_of("canary.").charge(200)
    stats.responses_of(EXTERNAL).time.record(5)
    stats.responses_of(INTERNAL).time.record(7)
    shown = {name: value for _, name, value in stats.rows()}
    assert shown["upstream_rq_200"] == 2
    assert shown["upstream_rq_2xx"] == 2
    assert shown["upstream_rq_completed"] == 3
    assert shown["external.upstream_rq_5xx"] == 1
    assert shown["internal.upstream_rq_200"] == 1
    assert shown["canary.upstream_rq_completed"] == 1
    total = shown["upstream_rq_time"]
    assert isinstance(total, Histogram) and total.counts == {5: 1, 7: 1}
    assert shown["circuit_breakers.high.rq_open"] == 0
