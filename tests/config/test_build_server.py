"""What of the bootstrap belongs to the process."""

from pathlib import Path

import pytest

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_server import build_node, build_runtime, global_connection_limit, read_rest
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View, unread
from meshproxy.net.runtime import Runtime
from meshproxy.process.options import parse_options


def view(text: str) -> View:
    return load_bootstrap(None, text).view


def runtime(text: str) -> Runtime:
    made = Runtime()
    build_runtime(view(f"layered_runtime: {{layers: [{text}]}}"), made)
    return made


def test_the_command_line_names_the_node() -> None:
    text = "node: {id: a, cluster: b, locality: {region: r, zone: z, sub_zone: s}, metadata: {n: 1, l: [x]}}"
    node = build_node(view(text), parse_options([]))
    assert (node.id, node.cluster, node.region, node.zone, node.sub_zone) == ("a", "b", "r", "z", "s")
    assert node.metadata == {"n": 1, "l": ["x"]}
    line = ["--service-node", "A", "--service-cluster", "B", "--service-zone", "Z"]
    node = build_node(view(text), parse_options(line))
    assert (node.id, node.cluster, node.region, node.zone) == ("A", "B", "r", "Z")


def test_later_layers_win() -> None:
    made = runtime(
        "{name: low, static_layer: {a: {b: 1, c: x}, f: {numerator: 5, denominator: HUNDRED}}},"
        " {name: high, static_layer: {a.b: 2}}, {name: mine, admin_layer: {}}"
    )
    assert (made.get("a.b"), made.get("a.c"), made.get("none")) == (2, "x", None)
    assert made.get("f") == {"numerator": 5, "denominator": "HUNDRED"}
    assert made.admin_layer == "mine"
    assert [name for name, _ in made.layers] == ["low", "high", "mine"]


def test_files_are_keys(tmp_path: Path) -> None:
    (tmp_path / "envoy" / "deep").mkdir(parents=True)
    (tmp_path / "envoy" / "deep" / "number").write_text("42\n")
    (tmp_path / "envoy" / "text").write_text(" yes ")
    made = runtime(f"{{name: disk, disk_layer: {{symlink_root: {tmp_path}, subdirectory: envoy}}}}")
    assert (made.get("deep.number"), made.get("text")) == (42, "yes")


@pytest.mark.parametrize(
    "layers, reason",
    [
        ("{name: a, static_layer: {}}, {name: a, static_layer: {}}", "Duplicate layer name: a"),
        ("{name: a, admin_layer: {}}, {name: b, admin_layer: {}}", "Too many admin layers"),
        ("{name: a, rtds_layer: {name: x}}", "runtime discovery"),
    ],
)
def test_layers_that_cannot_be(layers: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        runtime(layers)


MONITOR = (
    "{name: m, typed_config: {'@type': type.googleapis.com/"
    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig,"
    " max_active_downstream_connections: 7}}"
)


def test_the_limit_of_all_connections() -> None:
    assert global_connection_limit(view("{}")) == 0
    assert global_connection_limit(view(f"overload_manager: {{resource_monitors: [{MONITOR}]}}")) == 7
    other = MONITOR.replace("downstream_connections.v3.DownstreamConnections", "fixed_heap.v3.FixedHeap")
    other = other.replace("active_downstream_connections", "heap_size_bytes")
    with pytest.raises(ConfigError, match="unsupported resource monitor 'm'"):
        global_connection_limit(view(f"overload_manager: {{resource_monitors: [{other}]}}"))


def test_all_that_is_not_there_is_refused_at_once() -> None:
    extension = "[{name: z, typed_config: {'@type': type.googleapis.com/envoy.config.core.v3.Node}}]"
    root = view(f"{{tracing: {{}}, stats_sinks: [{{name: s}}], watchdog: {{}}, bootstrap_extensions: {extension}}}")
    with pytest.raises(ConfigError) as refused:
        read_rest(root)
    assert [problem.path for problem in refused.value.problems()] == [
        "tracing", "stats_sinks", "bootstrap_extensions[0].typed_config",
    ]  # fmt: skip


def test_what_has_no_meaning_is_named() -> None:
    root = view("{watchdog: {}, stats_flush_interval: 5s, cluster_manager: {local_cluster_name: a}}")
    read_rest(root)
    assert {(problem.path, problem.severity) for problem in unread(root)} == {
        ("watchdog", "ignored"), ("stats_flush_interval", "ignored"), ("cluster_manager.local_cluster_name", "ignored"),
    }  # fmt: skip


def test_the_regex_engine_is_re2() -> None:
    engine = "type.googleapis.com/envoy.extensions.regex_engines.v3.GoogleRE2"
    node = "type.googleapis.com/envoy.config.core.v3.Node"
    read_rest(view(f"default_regex_engine: {{name: x, typed_config: {{'@type': {engine}}}}}"))
    with pytest.raises(ConfigError, match="unsupported regex engine"):
        read_rest(view(f"default_regex_engine: {{name: x, typed_config: {{'@type': {node}}}}}"))
