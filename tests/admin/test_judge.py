"""The same questions to Envoy's admin interface and to ours, both as running processes."""

import asyncio
import http.client
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.admin.conftest import BOOTSTRAP
from tests.parity.proxies import Proxy, find_envoy

pytestmark = pytest.mark.skipif(find_envoy() is None, reason="no Envoy here to ask")

PAGES = (
    "GET /ready", "GET /listeners?format=json", "GET /clusters", "GET /clusters?format=json", "GET /certs",
    "GET /clusters?filter=rev", "GET /clusters?filter=(", "GET /runtime", "POST /runtime_modify?a.b=2&new=x",
    "GET /runtime", "POST /runtime_modify", "GET /drain_listeners", "POST /logging?level=foo&a=b", "GET /init_dump",
    "GET /hot_restart_version", "GET /contention", "POST /healthcheck/fail", "GET /ready", "POST /healthcheck/ok",
    "POST /reset_counters", "POST /reopen_logs", "GET /stats?type=x", "GET /stats?filter=(", "GET /stats?format=foo",
    "GET /stats?histogram_buckets=foo", "GET /stats?filter=^cluster.reviews.upstream_cx", "HEAD /ready",
    "GET /stats?filter=^cluster.reviews.upstream_cx&format=json",
    "GET /stats?usedonly&filter=^cluster.reviews.membership_t",
    "GET /stats/prometheus?filter=upstream_rq_re", "GET /stats?filter=upstream_cx_length&histogram_buckets=cumulative",
    "GET /stats?filter=upstream_cx_length&histogram_buckets=detailed&format=json",
    "GET /stats/prometheus?filter=^cluster.*cx_length_ms", "GET /config_dump?resource=static_clusters",
    "GET /config_dump?resource=static_listeners", "GET /config_dump?resource=dynamic_listeners",
    "GET /config_dump?resource=foo", "GET /config_dump?mask=foo", "GET /config_dump?name_regex=(",
    "GET /config_dump?resource=static_clusters&mask=cluster.name", "GET /config_dump?name_regex=reviews",
    "GET /config_dump?include_eds", "POST /drain_listeners?graceful",
)  # fmt: skip


async def start(kind: str, folder: Path) -> Proxy:
    folder.mkdir()
    proxy = Proxy(kind, folder)
    await proxy.start(json.dumps(yaml.safe_load(BOOTSTRAP)))
    return proxy


def ask(proxy: Proxy, question: str) -> tuple[int, str | None, Any]:
    assert proxy.admin is not None
    connection = http.client.HTTPConnection(*proxy.admin, timeout=10)
    method, path = question.split(" ", 1)
    connection.request(method, path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    kind = answer.getheader("content-type")
    body = comparable(json.loads(text)) if kind == "application/json" else text.split("active loggers")[0]
    return answer.status, kind, body


def comparable(tree: Any) -> Any:
    """Without moments, ports that were chosen, and what an implementation says of itself."""
    if isinstance(tree, list):
        return [comparable(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("@type", "").endswith("BootstrapConfigDump"):
        tree["bootstrap"].pop("node")
    left_out = ("last_updated", "port_value", "success_rate", "local_origin_success_rate")
    return {key: comparable(value) for key, value in tree.items() if key not in left_out}


async def compare(tmp_path: Path) -> None:
    envoy, ours = await asyncio.gather(start("envoy", tmp_path / "envoy"), start("meshproxy", tmp_path / "ours"))
    differences = []
    try:
        for question in PAGES:
            expected, found = [await asyncio.to_thread(ask, proxy, question) for proxy in (envoy, ours)]
            if question.startswith("GET /clusters") and isinstance(expected[2], str):
                # Envoy keeps its clusters in no order.
                expected, found = [(*answer[:2], sorted(answer[2].splitlines())) for answer in (expected, found)]
            if expected != found and not _same_clusters(expected[2], found[2]):
                differences.append(f"{question}\n  Envoy {expected}\n  ours  {found}")
    finally:
        await asyncio.gather(envoy.stop(), ours.stop())
    assert not differences, "\n".join(differences)


def _same_clusters(expected: Any, found: Any) -> bool:
    if not isinstance(expected, dict) or "cluster_statuses" not in expected:
        return False
    by_name = [sorted(tree["cluster_statuses"], key=lambda each: each["name"]) for tree in (expected, found)]
    return bool(by_name[0] == by_name[1])


def test_pages(tmp_path: Path) -> None:
    asyncio.run(compare(tmp_path))
