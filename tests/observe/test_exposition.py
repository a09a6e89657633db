"""Pages of stats. The texts are Envoy 1.40's for the same numbers."""

import json
from collections.abc import Sequence

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from meshproxy.observe.exposition import Intervals, Selection, select, write_json, write_text
from meshproxy.observe.openmetrics import write_openmetrics
from meshproxy.observe.prometheus import write
from meshproxy.observe.quantiles import DEFAULT_BUCKETS
from meshproxy.observe.snapshot import Snapshot
from meshproxy.observe.tags import TagProducer

P = "P0(0,0) P25(0,0) P50(0,0) P75(1.05,1.05) P90(1.05,1.05) P95(1.05,1.05) P99(1.05,1.05) P99.5(1.05,1.05) "


def snapshot() -> Snapshot:
    made = Snapshot()
    made.counters = {"cluster.ok.upstream_rq_200": 3, "cluster.ok.bind_errors": False, "cluster.b.upstream_rq_503": 1}
    made.gauges = {"cluster.ok.upstream_cx_active": 0, "server.state": 0, "server.version": False}
    made.texts = {"control_plane.identifier": "it's <x>"}
    made.histograms = {"cluster.ok.upstream_rq_time": {0: 2, 1: 1}, "cluster.ok.upstream_cx_length_ms": {}}
    return made


def bounds(_name: str) -> Sequence[float]:
    return DEFAULT_BUCKETS


def everything(used_only: bool = False, kind: str = "") -> Selection:
    return select(snapshot(), lambda name: True, used_only, kind)


def test_text() -> None:
    assert "".join(write_text(everything(), "", bounds)) == (
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
    text = "".join(write_text(everything(used_only=True), "", bounds))
    assert "server.state: 0\n" in text
    assert "server.version" not in text
    assert "bind_errors" not in text
    assert "length_ms" not in text


def test_one_kind() -> None:
    assert "".join(write_text(everything(kind="Gauges"), "", bounds)) == (
        "cluster.ok.upstream_cx_active: 0\nserver.state: 0\nserver.version: 0\n"
    )


def test_buckets_as_text() -> None:
    only = everything(used_only=True, kind="Histograms")
    assert "".join(write_text(only, "cumulative", bounds)).startswith(
        "cluster.ok.upstream_rq_time: B0.5(2,2) B1(3,3) B5(3,3) "
    )
    assert "".join(write_text(only, "cumulative", bounds)).endswith(" B600000(3,3) B1.8e+06(3,3) B3.6e+06(3,3)\n")
    assert "".join(write_text(only, "disjoint", bounds)).startswith(
        "cluster.ok.upstream_rq_time: B0.5(2,2) B1(1,1) B5(0,0) "
    )
    assert "".join(write_text(only, "detailed", bounds)) == (
        "cluster.ok.upstream_rq_time:\n"
        "  totals=0,0:2, 1,0.1:1\n"
        "  intervals=0,0:2, 1,0.1:1\n"
        f"  summary={P}P99.9(1.05,1.05) P100(1.05,1.05)\n"
    )


def test_json() -> None:
    page = json.loads("".join(write_json(everything(), "", bounds)))["stats"]
    assert page[0] == {"name": "control_plane.identifier", "value": "it's <x>"}
    assert page[1] == {"name": "cluster.b.upstream_rq_503", "value": 1}
    histograms = page[-1]["histograms"]
    assert histograms["supported_quantiles"] == [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100]
    empty, full = histograms["computed_quantiles"]
    assert empty["values"][0] == {"cumulative": None, "interval": None}
    assert full["values"][3] == {"cumulative": 1.05, "interval": 1.05}


def test_json_buckets() -> None:
    only = everything(used_only=True, kind="Histograms")
    cumulative = json.loads("".join(write_json(only, "cumulative", bounds)))["stats"][0]["histograms"]
    assert cumulative[0]["buckets"][1] == {"upper_bound": 1, "interval": 3, "cumulative": 3}
    detailed = json.loads("".join(write_json(only, "detailed", bounds)))["stats"][0]["histograms"]["details"]
    assert detailed[0]["totals"] == [
        {"lower_bound": 0, "width": 0, "count": 2},
        {"lower_bound": 1, "width": 0.1, "count": 1},
    ]


def test_nothing_new_in_the_interval() -> None:
    intervals = Intervals(5.0)
    counts = {"a": {1: 2}}
    intervals.look({"a": {1: 2}}, 100.0)
    assert intervals.new("a", counts["a"]) == {1: 2}
    intervals.look({"a": {1: 2}}, 106.0)
    assert intervals.new("a", counts["a"]) == {}
    assert intervals.new("a", {1: 2, 3: 1}) == {3: 1}
    only = select(snapshot(), lambda name: True, True, "Histograms", lambda name, counts: {})
    assert "P0(nan,0)" in "".join(write_text(only, "", bounds))


def test_prometheus_is_envoys_to_the_letter() -> None:
    page = "".join(write(everything(used_only=True), TagProducer(), bounds))
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
    page = "".join(write(everything(True, "Histograms"), TagProducer(), bounds, summaries=True))
    assert page.startswith(
        "# TYPE envoy_cluster_upstream_rq_time summary\n"
        'envoy_cluster_upstream_rq_time{envoy_cluster_name="ok",quantile="0"} 0\n'
    )
    assert 'quantile="0.75"} 1.0500000000000000444089209850063\n' in page


def test_openmetrics_can_be_read_by_its_own_parser() -> None:
    page = write_openmetrics(everything(True), TagProducer(), bounds).decode()
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert page.endswith("# EOF\n")
    assert {sample.value for sample in families["envoy_cluster_upstream_rq"].samples} == {1, 3}
    assert families["envoy_cluster_upstream_rq_time"].type == "histogram"
