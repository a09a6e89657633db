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

# Those whose order is nobody's to compare, and statistics; what else there is, the scenarios of tests/parity/ compare.
PAGES = (
    "GET /runtime", "POST /runtime_modify?a.b=2&new=x", "GET /runtime", "POST /reset_counters", "GET /stats?type=x",
    "GET /stats?filter=(", "GET /stats?format=foo", "GET /stats?histogram_buckets=foo",
    "GET /stats?filter=^cluster.reviews.upstream_cx",
    "GET /stats?filter=^cluster.reviews.upstream_cx&format=json",
    "GET /stats?usedonly&filter=^cluster.reviews.membership_t",
    "GET /stats/prometheus?filter=upstream_rq_re", "GET /stats?filter=upstream_cx_length&histogram_buckets=cumulative",
    "GET /stats?filter=upstream_cx_length&histogram_buckets=detailed&format=json",
    "GET /stats/prometheus?filter=^cluster.*cx_length_ms",
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
    return answer.status, kind, json.loads(text) if kind == "application/json" else text


async def compare(tmp_path: Path) -> None:
    envoy, ours = await asyncio.gather(start("envoy", tmp_path / "envoy"), start("meshproxy", tmp_path / "ours"))
    differences = []
    try:
        for question in PAGES:
            expected, found = [await asyncio.to_thread(ask, proxy, question) for proxy in (envoy, ours)]
            if expected != found:
                differences.append(f"{question}\n  Envoy {expected}\n  ours  {found}")
    finally:
        await asyncio.gather(envoy.stop(), ours.stop())
    assert not differences, "\n".join(differences)


def test_pages(tmp_path: Path) -> None:
    asyncio.run(compare(tmp_path))
