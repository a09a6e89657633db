"""Masks on trees."""

from typing import Any

import pytest

from meshproxy.admin.field_mask import apply_mask, fits, parse_mask
from meshproxy.config.types import message_class

CLUSTERS = message_class("envoy.admin.v3.ClustersConfigDump").DESCRIPTOR
BOOTSTRAP = message_class("envoy.admin.v3.BootstrapConfigDump").DESCRIPTOR
TREE = {"@type": "t", "a": {"b": 1, "c": {"d": 2, "e": 3}}, "f": [{"g": 4}]}


@pytest.mark.parametrize(
    "text, mask",
    [
        ("", {}),
        ("a,b", {"a": {}, "b": {}}),
        ("a.b.c,a.d", {"a": {"b": {"c": {}}, "d": {}}}),
        ("a.b,a", {"a": {}}),
        ("a,a.b", {"a": {}}),
        (",a,,", {"a": {}}),
    ],
)
def test_parse(text: str, mask: Any) -> None:
    assert parse_mask(text) == mask


@pytest.mark.parametrize(
    "mask, shown",
    [
        ("", TREE),
        ("f", {"@type": "t", "f": [{"g": 4}]}),
        ("a.b", {"@type": "t", "a": {"b": 1}}),
        ("a.c.e,a.b", {"@type": "t", "a": {"b": 1, "c": {"e": 3}}}),
        ("nosuch", {"@type": "t"}),
    ],
)
def test_apply(mask: str, shown: Any) -> None:
    assert apply_mask(TREE, parse_mask(mask)) == shown


@pytest.mark.parametrize(
    "mask, descriptor, fit",
    [
        ("", CLUSTERS, True),
        ("static_clusters,version_info", CLUSTERS, True),
        ("static_clusters.cluster", CLUSTERS, False),
        ("version_info.x", CLUSTERS, False),
        ("nosuch", CLUSTERS, False),
        ("bootstrap.node.id", BOOTSTRAP, True),
        ("bootstrap.node.nosuch", BOOTSTRAP, False),
        ("bootstrap,static_clusters", BOOTSTRAP, False),
    ],
)
def test_fits(mask: str, descriptor: Any, fit: bool) -> None:
    assert fits(parse_mask(mask), descriptor) is fit
