"""Requests are shared among endpoints as a real Envoy shared them: see envoy_shares.py.

Envoy's counts are of 1,000 requests: a share may differ from ours by four times what chance makes of so many, and 1 %.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator

import pytest

from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.build_server import build_local_cluster, build_node, watch_local_cluster
from meshproxy.config.context import Context
from meshproxy.config.parse import parse
from meshproxy.config.source import inline
from meshproxy.config.view import View
from meshproxy.net.randomness import source
from meshproxy.process.options import parse_options
from tests.upstream.envoy_shares import CASES, MESH, NODE, REQUESTS, SHARES, cluster_of

GOLDEN: dict[str, dict[str, int]] = json.loads(SHARES.read_text())
PICKS = 5000


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    source("balancing").seed(1)
    yield
    source("balancing").seed()


def view_of(tree: object, kind: str) -> View:
    message, problems = parse(inline(json.dumps(tree)).tree, kind)
    assert not problems
    return View(message)


@pytest.mark.parametrize("name", CASES)
def test_shares(name: str) -> None:
    bootstrap = {"node": NODE, "cluster_manager": {"local_cluster_name": "mesh"}}
    view = view_of(bootstrap, "envoy.config.bootstrap.v3.Bootstrap")
    ctx = Context(asyncio.new_event_loop())
    ctx.node = build_node(view, parse_options([]))
    ctx.local_cluster = build_local_cluster(view.cluster_manager, ctx)
    for each, case in ((name, CASES[name]), ("mesh", MESH)):
        add_cluster(view_of(cluster_of(each, case), "envoy.config.cluster.v3.Cluster"), ctx)
    watch_local_cluster(ctx)
    pick = ctx.clusters.by_name[name].balancer.pick
    picked = [pick(None) for _ in range(PICKS)]
    found = Counter(endpoint.address[0].rpartition(".")[2] for endpoint in picked if endpoint is not None)
    envoy = GOLDEN[name]
    assert found.keys() == envoy.keys()
    for endpoint, count in envoy.items():
        share = count / REQUESTS
        chance = 4 * (share * (1 - share) / REQUESTS) ** 0.5
        assert found[endpoint] / PICKS == pytest.approx(share, abs=chance + 0.01), endpoint
