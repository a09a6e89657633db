"""A scrape of many clusters: what it costs, and how long it makes a request wait."""

import subprocess
import time
from collections.abc import Iterator
from http.client import HTTPConnection

from .proxies import LOAD_CORE, Proxy, pinned

CLUSTERS = 1000
PAGES = {"/stats/prometheus": "Prometheus", "/stats": "text"}
TIMES = 5

Figures = dict[str, float]


def scrapes(proxy: Proxy, _seconds: float) -> Figures:
    """CPU of the proxy per page, in milliseconds."""
    found = {}
    for page, name in PAGES.items():
        before = proxy.cpu_s()
        for _ in range(TIMES):
            _scrape(proxy, page).wait()
        found[f"CPU ms per scrape, {name}"] = (proxy.cpu_s() - before) * 1e3 / TIMES
    return found


def delay(proxy: Proxy, seconds: float) -> Figures:
    """Small requests, one after the other, without a scrape and while Prometheus asks without end.

    The longest says more of the machine than of the proxy where others use it too; the 99th percentile says what a
    scrape adds: most requests of the second half meet one.
    """
    connection = HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    quiet = [_request(connection) for _ in _while(seconds / 2)]
    busy = []
    scrape = _scrape(proxy, "/stats/prometheus")
    for _ in _while(seconds):
        if scrape.poll() is not None:
            scrape = _scrape(proxy, "/stats/prometheus")
        busy.append(_request(connection))
    scrape.wait()
    connection.close()
    return {
        "p99 without a scrape, ms": _p99(quiet),
        "p99 during scrapes, ms": _p99(busy),
        "longest during scrapes, ms": max(busy) * 1e3,
    }


def _while(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield


def _p99(times: list[float]) -> float:
    return sorted(times)[len(times) * 99 // 100] * 1e3


def _request(connection: HTTPConnection) -> float:
    start = time.perf_counter()
    connection.request("GET", "/bytes/100")
    connection.getresponse().read()
    return time.perf_counter() - start


def _scrape(proxy: Proxy, page: str) -> "subprocess.Popen[bytes]":
    return pinned(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{proxy.admin}{page}"], LOAD_CORE)
