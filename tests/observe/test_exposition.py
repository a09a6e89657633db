"""Pages of stats. The texts are Envoy 1.40's for the same numbers."""

import json
from collections.abc import Sequence
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from meshproxy.observe.exposition import Buckets, Intervals, write_text
from meshproxy.observe.exposition_json import write_json
from meshproxy.observe.families import Families
from meshproxy.observe.prometheus import write, write_openmetrics
from meshproxy.observe.quantiles import DEFAULT_BUCKETS
from meshproxy.observe.selection import Ordered, Selection
from meshproxy.observe.snapshot import Counts, Snapshot, Taken
from meshproxy.observe.stats import Kind, StatGroup
from meshproxy.observe.stats_config import StatsConfig

P = "P0(0,0) P25(0,0) P50(0,0) P75(1.05,1.05) P90(1.05,1.05) P95(1.05,1.05) P99(1.05,1.05) P99.5(1.05,1.05) "


class Group(StatGroup):
    """What the class lists; everything else of the groups below comes while running."""

    COUNTERS = ("bind_errors",)
    GAUGES = ("upstream_cx_active",)
    HISTOGRAMS = ("upstream_cx_length_ms", "upstream_rq_time")


class Bare(StatGroup):
    GAUGES = ("state", "version")


class Nothing(StatGroup):
    pass


def snapshot() -> Snapshot:
    ok = Taken((False, 0), ({}, {0: 2, 1: 1}), {("counter", "upstream_rq_200"): 3})
    other = Taken((), (), {("counter", "upstream_rq_503"): 1})
    texts = Taken((), (), {("text", "identifier"): "it's <x>"})
    return Snapshot([
        (("cluster.ok", Group), ok), (("server", Bare), Taken((0, False), (), {})), (("cluster.b", Nothing), other),
        (("control_plane", Nothing), texts),
    ])  # fmt: skip


def bounds(_name: str) -> Sequence[float]:
    return DEFAULT_BUCKETS


def selection(used_only: bool = False, kind: Kind | None = None) -> Selection:
    return Selection(frozenset({kind}), used_only) if kind else Selection(used_only=used_only)


def everything(used_only: bool = False, kind: Kind | None = None) -> Ordered:
    return Ordered(snapshot(), selection(used_only, kind), StatsConfig().shapes)


def families(used_only: bool = False, kind: Kind | None = None) -> Families:
    made = Families(selection(used_only, kind), StatsConfig().shapes)
    for part in snapshot().sorted():
        made.add(part)
    return made


def all_new(_name: str, counts: Counts) -> Counts:
    return counts


def text(stats: Ordered, buckets: Buckets = "") -> str:
    return "".join(write_text(stats, buckets, bounds, all_new))


def in_json(stats: Ordered, buckets: Buckets = "") -> Any:
    return json.loads("".join(write_json(stats, buckets, bounds, all_new)))["stats"]


def test_text() -> None:
    assert text(everything()) == (
        'control_plane.identifier: "it&#39;s &lt;x&gt;"\n'
        "cluster.b.upstream_rq_503: 1\n"
        "cluster.ok.bind_errors: 0\n"
        "cluster.ok.upstream_cx_active: 0\n"
        "cluster.ok.upstream_rq_200: 3\n"
        "server.state: 0\n"
        "server.version: 0\n"
        "cluster.ok.upstream_cx_length_ms: No recorded values\n"
        f"cluster.ok.upstream_rq_time: {P}P99.9(1.05,1.05) P100(1.05,1.05)\n"
    )


def test_used_only_shows_gauges_that_were_set_to_zero() -> None:
    shown = text(everything(used_only=True))
    assert "server.state: 0\n" in shown
    assert "server.version" not in shown
    assert "bind_errors" not in shown
    assert "length_ms" not in shown


def test_one_kind() -> None:
    assert text(everything(kind="gauge")) == (
        "cluster.ok.upstream_cx_active: 0\nserver.state: 0\nserver.version: 0\n"
    )


def test_buckets_as_text() -> None:
    only = everything(used_only=True, kind="histogram")
    assert text(only, "cumulative").startswith(
        "cluster.ok.upstream_rq_time: B0.5(2,2) B1(3,3) B5(3,3) "
    )
    assert text(only, "cumulative").endswith(" B600000(3,3) B1.8e+06(3,3) B3.6e+06(3,3)\n")
    assert text(only, "disjoint").startswith(
        "cluster.ok.upstream_rq_time: B0.5(2,2) B1(1,1) B5(0,0) "
    )
    assert text(only, "detailed") == (
        "cluster.ok.upstream_rq_time:\n"
        "  totals=0,0:2, 1,0.1:1\n"
        "  intervals=0,0:2, 1,0.1:1\n"
        f"  summary={P}P99.9(1.05,1.05) P100(1.05,1.05)\n"
    )


def test_json() -> None:
    page = in_json(everything())
    assert page[0] == {"name": "control_plane.identifier", "value": "it's <x>"}
    assert page[1] == {"name": "cluster.b.upstream_rq_503", "value": 1}
    histograms = page[-1]["histograms"]
    assert histograms["supported_quantiles"] == [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100]
    empty, full = histograms["computed_quantiles"]
    assert empty["values"][0] == {"cumulative": None, "interval": None}
    assert full["values"][3] == {"cumulative": 1.05, "interval": 1.05}


def test_json_buckets() -> None:
    only = everything(used_only=True, kind="histogram")
    cumulative = in_json(only, "cumulative")[0]["histograms"]
    assert cumulative[0]["buckets"][1] == {"upper_bound": 1, "interval": 3, "cumulative": 3}
    detailed = in_json(only, "detailed")[0]["histograms"]["details"]
    assert detailed[0]["totals"] == [
        {"lower_bound": 0, "width": 0, "count": 2},
        {"lower_bound": 1, "width": 0.1, "count": 1},
    ]


def test_nothing_new_in_the_interval() -> None:
    intervals = Intervals(5.0)
    intervals.look(100.0)
    assert intervals.new("a", {1: 2}) == {1: 2}
    intervals.look(104.0)
    assert intervals.new("a", {1: 2}) == {1: 2}
    intervals.look(106.0)
    assert intervals.new("a", {1: 2}) == {}
    assert intervals.new("a", {1: 2, 3: 1}) == {3: 1}
    only = everything(True, "histogram")
    assert "P0(nan,0)" in "".join(write_text(only, "", bounds, lambda _name, _counts: {}))


def test_prometheus_is_envoys_to_the_letter() -> None:
    page = "".join(write(families(used_only=True), bounds))
    assert page.startswith(
        "# TYPE envoy_cluster_upstream_rq counter\n"
        'envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="b"} 1\n'
        'envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="ok"} 3\n'
        "# TYPE envoy_cluster_upstream_cx_active gauge\n"
        'envoy_cluster_upstream_cx_active{envoy_cluster_name="ok"} 0\n'
        "# TYPE envoy_server_state gauge\n"
        "envoy_server_state{} 0\n"
    )
    assert page.endswith(
        'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="ok",le="3600000"} 3\n'
        'envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="ok",le="+Inf"} 3\n'
        'envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="ok"} 1.0476190476190476719153821250075\n'
        'envoy_cluster_upstream_rq_time_count{envoy_cluster_name="ok"} 3\n'
    )


def test_prometheus_summaries() -> None:
    page = "".join(write(families(True, "histogram"), bounds, summaries=True))
    assert page.startswith(
        "# TYPE envoy_cluster_upstream_rq_time summary\n"
        'envoy_cluster_upstream_rq_time{envoy_cluster_name="ok",quantile="0"} 0\n'
    )
    assert 'quantile="0.75"} 1.0500000000000000444089209850063\n' in page


def test_openmetrics_can_be_read_by_its_own_parser_and_keeps_the_names() -> None:
    page = "".join(write_openmetrics(families(), bounds))
    found = {family.name: family for family in text_string_to_metric_families(page)}
    assert page.endswith("# EOF\n")
    assert {sample.value for sample in found["envoy_cluster_upstream_rq"].samples} == {1, 3}
    assert found["envoy_cluster_upstream_rq_time"].type == "histogram"
    in_text = {line.partition("{")[0] for line in "".join(write(families(), bounds)).splitlines() if line[0] != "#"}
    assert {sample.name for family in found.values() for sample in family.samples} == in_text


def test_openmetrics_has_no_two_families_of_one_name() -> None:
    class Counted(StatGroup):
        COUNTERS = ("upstream_rq", "upstream_rq_total", "upstream_cx_total")

    made = Families(Selection(), StatsConfig().shapes)
    made.add((("cluster.a", Counted), Taken((1, 2, 3), (), {})))
    page = "".join(write_openmetrics(made, bounds))
    found = {family.name: family for family in text_string_to_metric_families(page)}
    assert {name: family.type for name, family in found.items()} == {
        "envoy_cluster_upstream_cx": "counter",
        "envoy_cluster_upstream_rq": "unknown",
        "envoy_cluster_upstream_rq_total": "unknown",
    }
