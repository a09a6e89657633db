"""Paths found again in the text that they came from."""

import pytest

from meshproxy.config.positions import Positions
from meshproxy.config.source import Source, inline

TEXT = """\
static_resources:
  clusters:
  - name: a
    connectTimeout: 1s
  - name: it's
    typed_extension_protocol_options:
      x.y: {'@type': t, type_url: u, value: {deep: [1,
        2]}}
  listeners: {name: single}
admin:
  {}
"""
OVER = "{static_resources: {clusters: [{name: c, type: EDS}]}, admin: {address: 1}}"


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("", "f.yaml:1:1"),
        ("admin", "f.yaml:10:1"),
        ("admin.address", "f.yaml:10:1"),
        ("static_resources.clusters", "f.yaml:2:3"),
        ("static_resources.clusters[0]", "f.yaml:3:5"),
        ("static_resources.clusters['a'].connect_timeout", "f.yaml:4:5"),
        ("static_resources.clusters['it\\'s'].name", "f.yaml:5:5"),
        ("static_resources.clusters['none'].name", "f.yaml:2:3"),
        ("static_resources.clusters[9]", "f.yaml:2:3"),
        ("static_resources.clusters[1].typed_extension_protocol_options['x.y']", "f.yaml:7:7"),
        ("static_resources.clusters[1].typed_extension_protocol_options['x.y'].deep[1]", "f.yaml:8:9"),
        ("static_resources.clusters[1].typed_extension_protocol_options['x.y'].none", "f.yaml:7:7"),
        ("static_resources.listeners['single'].name", "f.yaml:9:15"),
        ("static_resources.listeners[0].name", "f.yaml:9:15"),
        ("nothing.like.this", "f.yaml:1:1"),
    ],
)
def test_one_file(path: str, position: str) -> None:
    assert Positions([inline(TEXT, "f.yaml")]).locate(path) == position


@pytest.mark.parametrize(
    ("path", "position"),
    [
        ("static_resources.clusters[2].type", "over:1:42"),
        ("static_resources.clusters['c'].type", "over:1:42"),
        ("static_resources.clusters['a'].name", "f.yaml:3:5"),
        ("admin.address", "over:1:64"),
    ],
)
def test_a_text_over_a_file(path: str, position: str) -> None:
    assert Positions([inline(TEXT, "f.yaml"), inline(OVER, "over")]).locate(path) == position


def test_without_a_text_there_is_the_name_of_the_file() -> None:
    assert Positions([]).locate("a") == ""
    assert Positions([Source("x.json", '{"a": "\\ud83d\\ude00"}', {})]).locate("a") == "x.json"
