"""Sharing a route's requests among clusters."""

from collections import Counter

import pytest

from meshproxy.routing.route import Route
from tests.routing.tables import answer, context, routes, stream


def weighted(clusters: str, more: str = "", **fields: str) -> str:
    return f"{{name: w, match: {{prefix: /}}, route: {{weighted_clusters: {{clusters: [{clusters}]{more}}}}}}}"


BOTH = "{name: first, weight: 10}, {name: second, weight: 90}"
OPEN = {"validate_clusters": "false"}


def cluster_of(route: Route | None) -> str:
    assert route is not None
    name: str = route.action.cluster_name  # type: ignore[attr-defined]
    return name


def test_shares() -> None:
    table = routes(weighted(BOTH), **OPEN)
    drawn = Counter(cluster_of(table.match(stream())) for _ in range(2000))
    # 10 % of 2000 draws: 200, standard deviation 13.
    assert 120 < drawn["first"] < 280
    assert drawn.total() == 2000


def test_a_weight_of_zero_is_never_drawn() -> None:
    table = routes(weighted("{name: none, weight: 0}, {name: all, weight: 1}, {name: none2, weight: 0}"), **OPEN)
    assert {cluster_of(table.match(stream())) for _ in range(200)} == {"all"}


def test_what_was_drawn_stays_when_the_route_is_looked_up_again() -> None:
    table = routes(weighted(BOTH), **OPEN)
    for _ in range(50):
        asking = stream()
        asking.route = table.match(asking)
        assert all(table.match(asking) is asking.route for _ in range(20))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("5", "first"), ("9", "first"), ("10", "second"), ("105", "first"), ("110", "second"), ("+9", "first")],
)
def test_a_header_gives_the_random_value(value: str, expected: str) -> None:
    table = routes(weighted(BOTH, ", header_name: X-Random"), **OPEN)
    asking = stream(headers=[("x-random", value)])
    assert {cluster_of(table.match(asking)) for _ in range(20)} == {expected}


@pytest.mark.parametrize("values", [[], ["5", "5"], ["no"], ["1_0"], ["\xb2"]])
def test_what_is_no_random_value_leaves_it_to_chance(values: list[str]) -> None:
    table = routes(weighted("{name: first, weight: 1}, {name: second, weight: 1}", ", header_name: x-random"), **OPEN)
    drawn = {cluster_of(table.match(stream(headers=[("x-random", value) for value in values]))) for _ in range(100)}
    assert drawn == {"first", "second"}


def test_runtime_changes_the_weights() -> None:
    ctx = context()
    table = routes(weighted(BOTH, ", runtime_key_prefix: w"), ctx=ctx, **OPEN)
    ctx.runtime.set_layer("admin", {"w.first": 1, "w.second": 0})
    assert {cluster_of(table.match(stream())) for _ in range(100)} == {"first"}
    ctx.runtime.set_layer("admin", {"w.first": 0, "w.second": 0})
    assert cluster_of(table.match(stream())) == "first"


def test_a_cluster_may_be_named_by_a_header() -> None:
    table = routes(weighted("{cluster_header: x-cluster, weight: 1}"))
    for headers in ([], [("x-cluster", "unknown")]):
        reply = answer(table, stream(headers=headers))
        assert (reply.status, reply.details, reply.flag) == (503, "cluster_not_found", "NC")


def test_metadata_of_the_cluster_goes_before_that_of_the_route() -> None:
    match = "metadata_match: {filter_metadata: {envoy.lb: {%s}}}"
    clusters = f"{{name: origin, weight: 1, {match % 'b: 2'}}}"
    table = routes(
        f"{{match: {{prefix: /}}, route: {{weighted_clusters: {{clusters: [{clusters}]}}, {match % 'a: 1, b: 1'}}}}}"
    )
    route = table.match(stream())
    assert route is not None
    assert route.action.metadata_match == {"a": 1, "b": 2}  # type: ignore[attr-defined]
