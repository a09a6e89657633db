"""Ring hash and Maglev pick what a real Envoy picked: see envoy_hashes.py."""

import asyncio
import json
from typing import Any

import pytest
from xxhash import xxh64_intdigest

from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.context import Context
from meshproxy.config.parse import parse
from meshproxy.config.source import inline
from meshproxy.config.view import View
from meshproxy.upstream.cluster import Cluster
from tests.upstream.envoy_hashes import CASES, GOLDEN, KEYS, cluster_of

_GOLDEN: dict[str, Any] = json.loads(GOLDEN.read_text())


@pytest.fixture
def ctx() -> Context:
    return Context(asyncio.new_event_loop())


class Keyed:
    """Something on its way to an endpoint, whose hash is that of a text."""

    def __init__(self, key: str) -> None:
        self._key = key

    def hash_key(self) -> int:
        return xxh64_intdigest(self._key.encode())


def build(ctx: Context, name: str) -> Cluster:
    message, problems = parse(inline(json.dumps(cluster_of(name))).tree, "envoy.config.cluster.v3.Cluster")
    assert not problems
    return add_cluster(View(message), ctx)


@pytest.mark.parametrize("name", CASES)
def test_every_key_goes_where_it_goes_in_envoy(ctx: Context, name: str) -> None:
    cluster = build(ctx, name)
    if cluster.discovery is not None:
        # Their names are addresses: nothing has to be looked up.
        cluster.set_endpoints(cluster.discovery.templates)  # type: ignore[attr-defined]
    picks = [cluster.balancer.pick(Keyed(key)) for key in KEYS]
    numbers = [int(pick.address[0].rpartition(".")[2]) for pick in picks if pick is not None]
    assert numbers == _GOLDEN[name]["picks"]
    for group in cluster.stat_groups.values():
        shown = {key: value for _, key, value in group.rows()}
        assert shown == _GOLDEN[name]["stats"]
