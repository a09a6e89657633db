"""What of the bootstrap belongs to the process."""

import pytest

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_server import build_node, read_rest
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View, unread
from meshproxy.process.options import parse_options


def view(text: str) -> View:
    return load_bootstrap(None, text).view


def test_the_command_line_names_the_node() -> None:
    text = "node: {id: a, cluster: b, locality: {region: r, zone: z, sub_zone: s}, metadata: {n: 1, l: [x]}}"
    node = build_node(view(text), parse_options([]))
    assert (node.id, node.cluster, node.region, node.zone, node.sub_zone) == ("a", "b", "r", "z", "s")
    assert node.metadata == {"n": 1, "l": ["x"]}
    line = ["--service-node", "A", "--service-cluster", "B", "--service-zone", "Z"]
    both = view(text)
    node = build_node(both, parse_options(line))
    assert (node.id, node.cluster, node.region, node.zone) == ("A", "B", "r", "Z")
    assert unread(both) == []


def test_all_that_is_not_there_is_refused_at_once() -> None:
    extension = "[{name: z, typed_config: {'@type': type.googleapis.com/envoy.config.core.v3.Node}}]"
    root = view(f"{{tracing: {{}}, hds_config: {{}}, bootstrap_extensions: {extension}}}")
    with pytest.raises(ConfigError) as refused:
        read_rest(root)
    assert [problem.path for problem in refused.value.problems()] == [
        "hds_config", "tracing", "bootstrap_extensions[0].typed_config",
    ]  # fmt: skip


def test_what_has_no_meaning_is_named() -> None:
    kind = "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"
    extension = f"{{name: i, typed_config: {{'@type': {kind}, buffer_size_kb: 64}}}}"
    root = view(
        "{flags_path: a, cluster_manager: {enable_deferred_cluster_creation: true},"
        f" bootstrap_extensions: [{extension}]}}"
    )
    read_rest(root)
    assert {(problem.path, problem.severity) for problem in unread(root)} == {
        ("flags_path", "ignored"), ("cluster_manager.enable_deferred_cluster_creation", "ignored"),
        ("bootstrap_extensions[0].typed_config", "ignored"),
    }  # fmt: skip


def test_the_regex_engine_is_re2() -> None:
    engine = "type.googleapis.com/envoy.extensions.regex_engines.v3.GoogleRE2"
    node = "type.googleapis.com/envoy.config.core.v3.Node"
    read_rest(view(f"default_regex_engine: {{name: x, typed_config: {{'@type': {engine}}}}}"))
    with pytest.raises(ConfigError, match="unsupported regex engine"):
        read_rest(view(f"default_regex_engine: {{name: x, typed_config: {{'@type': {node}}}}}"))
