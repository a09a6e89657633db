"""From files and text to the bootstrap that the builders read."""

from pathlib import Path

import pytest

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.errors import ConfigError, ConfigErrors
from tests.config.cases import routes


def write(folder: Path, text: str, name: str = "envoy.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def test_nothing_given() -> None:
    with pytest.raises(ConfigError, match="--config-path or --config-yaml"):
        load_bootstrap(None, None)


def test_text_alone() -> None:
    assert load_bootstrap(None, "node: {id: a}").view.node.id == "a"


def test_text_is_merged_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "node: {id: a, cluster: b}\nstatic_resources: {clusters: [{name: x}]}")
    loaded = load_bootstrap(path, "{node: {id: c}, static_resources: {clusters: [{name: z}]}}")
    assert (loaded.view.node.id, loaded.view.node.cluster) == ("c", "b")
    assert [cluster.name for cluster in loaded.view.static_resources.clusters] == ["x", "z"]


def test_other_forms(tmp_path: Path) -> None:
    text = write(tmp_path, 'node { id: "a" }', "envoy.pb_text")
    loaded = load_bootstrap(text)
    assert loaded.view.node.id == "a"
    serialized = tmp_path / "envoy.pb"
    serialized.write_bytes(loaded.message.SerializeToString())
    assert load_bootstrap(str(serialized), "node: {cluster: b}").view.node.cluster == "b"
    serialized.write_bytes(b"\xff\xff")
    with pytest.raises(ConfigError, match="not a serialized envoy"):
        load_bootstrap(str(serialized))


def test_all_that_is_wrong_with_file_line_and_column(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "static_resources:\n  clusters:\n  - name: a\n    typo: 1\n    connect_timeout: 0s\n  - {name: ''}\n"
        "node:\n  id: 5\n",
    )
    with pytest.raises(ConfigErrors) as refused:
        load_bootstrap(path, "admin: {x: 1}")
    assert str(refused.value).splitlines() == [
        f"{path}:4:5: static_resources.clusters['a'].typo: envoy.config.cluster.v3.Cluster has no such field"
        " (did you mean 'type'?)",
        f"{path}:8:3: node.id: expected text, got the number 5 (quote it)",
        "--config-yaml:1:9: admin.x: envoy.config.bootstrap.v3.Admin has no such field",
        f"{path}:5:5: static_resources.clusters['a'].connect_timeout: value must be greater than 0s",
        f"{path}:6:6: static_resources.clusters[1].name: value length must be at least 1 characters",
    ]


def test_what_could_not_be_read_is_not_called_missing_as_well(tmp_path: Path) -> None:
    path = write(tmp_path, routes("{match: {prefx: /}, direct_response: {status: x}}"))
    with pytest.raises(ConfigErrors) as refused:
        load_bootstrap(path)
    reasons = [problem.path.rpartition("routes[0].")[2] for problem in refused.value.problems()]
    assert reasons == ["match.prefx", "direct_response.status"]


def test_unknown_fields_may_be_allowed(tmp_path: Path) -> None:
    loaded = load_bootstrap(write(tmp_path, "node: {id: a, x: 1}\nnode2: 1"), None, allow_unknown=True)
    assert [problem.path for problem in loaded.problems.ignored] == ["node.x", "node2"]
    assert loaded.view.node.id == "a"


def test_what_nothing_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "node: {id: a, cluster: b}\nadmin: {}")
    loaded = load_bootstrap(path)
    assert loaded.view.node.id == "a"
    loaded.report_unread()
    with pytest.raises(ConfigErrors) as refused:
        loaded.problems.check()
    assert str(refused.value).splitlines() == [
        f"{path}:1:15: node.cluster: set, but nothing here reads it: not supported",
        f"{path}:2:1: admin: set, but nothing here reads it: not supported",
    ]


def test_or_a_warning_where_unknown_fields_are_allowed(tmp_path: Path) -> None:
    loaded = load_bootstrap(write(tmp_path, "admin: {}"), allow_unknown=True)
    loaded.report_unread()
    loaded.problems.check()
    assert [problem.path for problem in loaded.problems.ignored] == ["admin"]


def test_how_the_file_says_it_is_remarked(tmp_path: Path) -> None:
    loaded = load_bootstrap(write(tmp_path, "node:\n  id: a\n  id: b\n"))
    assert [problem.position.rpartition("/")[2] for problem in loaded.problems.ignored] == ["envoy.yaml:3:3"]
