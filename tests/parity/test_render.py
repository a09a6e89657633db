"""From scenarios to one bootstrap."""

from pathlib import Path
from typing import Any

import pytest

from .render import Stage, bootstrap, merge
from .scenario import ScenarioError, parse

LOG = Path("/log")


def rendered(*texts: str) -> dict[str, Any]:
    stages = []
    for index, text in enumerate(texts):
        ports = {"in": 1000 + index, "origin": 2000}
        stages.append(Stage(parse(f"n{index}", f"about: a\n{text}"), f"s{index:03}x", ports, Path("/dir")))
    return bootstrap(stages, LOG, 9)


def manager(config: dict[str, Any], listener: int) -> dict[str, Any]:
    chain = config["static_resources"]["listeners"][listener]["filter_chains"][0]
    return dict(chain["filters"][0]["typed_config"])


def test_merge() -> None:
    base = {"keep": 1, "over": [1], "deep": {"a": 1, "b": 2}}
    assert merge(base, {"over": [2], "deep": {"b": 3}, "new": {}, "keep": None}) == {
        "over": [2],
        "deep": {"a": 1, "b": 3},
        "new": {},
    }


def test_scenarios_in_one_process_share_no_names() -> None:
    config = rendered("", "")["static_resources"]
    assert [listener["name"] for listener in config["listeners"][1:]] == ["s000xin", "s001xin"]
    assert [listener["stat_prefix"] for listener in config["listeners"][1:]] == ["s000xin", "s001xin"]
    assert [cluster["name"] for cluster in config["clusters"]] == ["s000xorigin", "s001xorigin"]
    assert [listener["address"]["socket_address"]["port_value"] for listener in config["listeners"][1:]] == [1000, 1001]


def test_routes_follow_the_renamed_clusters() -> None:
    weighted = "routes: [{route: {weighted_clusters: {clusters: [{name: origin}]}}}]"
    config = rendered("", weighted)
    first, second = (manager(config, index)["route_config"]["virtual_hosts"][0]["routes"][0] for index in (1, 2))
    assert first["route"]["cluster"] == "s000xorigin"
    assert second["route"]["weighted_clusters"]["clusters"][0]["name"] == "s001xorigin"


def test_short_forms_are_written_out() -> None:
    config = rendered(
        "http_filters: [{buffer: {max_request_bytes: 1}}, {name: own, typed_config: {}}]\n"
        "routes: [{typed_per_filter_config: {buffer: {disabled: true}}}]\n"
        "cluster: {http: {explicit_http_config: {}}}"
    )
    filters = manager(config, 1)["http_filters"]
    assert [filter["name"] for filter in filters] == ["envoy.filters.http.buffer", "own", "envoy.filters.http.router"]
    assert filters[0]["typed_config"]["@type"].endswith("buffer.v3.Buffer")
    (route,) = manager(config, 1)["route_config"]["virtual_hosts"][0]["routes"]
    (override,) = route["typed_per_filter_config"].values()
    assert override["@type"].endswith("BufferPerRoute")
    assert "typed_extension_protocol_options" in config["static_resources"]["clusters"][0]


def test_filters_of_an_access_log_filter_are_left_alone() -> None:
    config = rendered("log_filter: {and_filter: {filters: [{header_filter: {}}]}}")
    (entry,) = manager(config, 1)["access_log"]
    assert entry["filter"] == {"and_filter": {"filters": [{"header_filter": {}}]}}


def test_a_filter_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ScenarioError, match="bufer"):
        rendered("http_filters: [bufer]")


def test_contradicting_runtime_needs_a_process_of_its_own() -> None:
    with pytest.raises(ScenarioError, match="own_process"):
        rendered("runtime: {k: 1}", "runtime: {k: 2}")


def test_places_are_filled() -> None:
    stage = Stage(parse("n", "about: a"), "s000x", {"in": 1000}, Path("/dir"))
    assert stage.fill("${id}a ${port:in} ${dir}/x") == "s000xa 1000 /dir/x"
    assert stage.fill("${kib:2}") == "x" * 2048
