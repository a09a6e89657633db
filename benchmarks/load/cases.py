"""What is measured: each case puts one load on one running proxy and gives its figures, the lower the better."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import clients, scrape
from .proxies import Proxy

Figures = dict[str, float]
SMALL, KIB, KIB100 = "/bytes/100", "/bytes/1024", "/bytes/102400"
IDLE = 2000  # connections whose memory is measured; as many as FIRST are there before, in memory that was free
FIRST = 1000
TLS_IDLE = 500  # the same of TLS
TLS_FIRST = 150
BURST = 300_000
PER_GB = "CPU ms per GB"
OUTLIERS = {
    "outlier_detection": {"split_external_local_origin_errors": True},
    "circuit_breakers": {"thresholds": [{"max_requests": 10_000, "track_remaining": True}]},
}


@dataclass(frozen=True)
class Case:
    """``measure(proxy, seconds)`` runs once per round; ``goals`` are ratios to Envoy by figure."""

    name: str
    about: str
    measure: Callable[[Proxy, float], Figures]
    kind: str = "http"
    routes: int = 10
    workers: int = 1
    log: str = ""  # the format of an access log
    clusters: int = 0  # beside the one that is used
    cluster: dict[str, Any] = field(default_factory=dict)  # more fields of the one that is used
    action: dict[str, Any] = field(default_factory=dict)  # what every route has beside its cluster
    fresh: bool = False  # a new process in each round
    tls: bool = False  # clients come by TLS
    http2: bool = False  # clients speak HTTP/2, which the bare pass-through does not
    goals: dict[str, float] = field(default_factory=dict)

    @property
    def on_bare(self) -> bool:
        """Whether the bare pass-through can do it."""
        more = self.tls or self.log or self.clusters or self.http2 or self.cluster or self.action
        return self.routes == 10 and self.workers == 1 and not more


def _requests(
    path: str, body: int = 0, keep_alive: bool = True, varied: bool = False
) -> Callable[[Proxy, float], Figures]:
    def measure(proxy: Proxy, seconds: float) -> Figures:
        before = proxy.cpu_s()
        total, _ = clients.wrk(proxy.port, path, seconds, body, keep_alive, varied, proxy.tls)
        return {"CPU µs per request": (proxy.cpu_s() - before) * 1e6 / total}

    return measure


def _bulk(size: int) -> Callable[[Proxy, float], Figures]:
    def measure(proxy: Proxy, seconds: float) -> Figures:
        before = proxy.cpu_s()
        total, _ = clients.wrk(proxy.port, f"/bytes/{size}", seconds, tls=proxy.tls)
        return {PER_GB: (proxy.cpu_s() - before) * 1e3 / (total * size / 1e9)}

    return measure


def _http2(path: str, body: int = 0, varied: bool = False) -> Callable[[Proxy, float], Figures]:
    def measure(proxy: Proxy, seconds: float) -> Figures:
        before = proxy.cpu_s()
        total = clients.h2load(proxy.port, path, seconds, b"x" * body, varied=varied)
        return {"CPU µs per request": (proxy.cpu_s() - before) * 1e6 / total}

    return measure


def _grpc(messages: int) -> Callable[[Proxy, float], Figures]:
    """Calls whose answer is one small message (0), or so many of 1 KiB."""
    text = b"%d" % messages
    body = b"\0" + len(text).to_bytes(4, "big") + text
    unit = "message" if messages else "request"

    def measure(proxy: Proxy, seconds: float) -> Figures:
        before = proxy.cpu_s()
        total = clients.h2load(proxy.port, "/bench.Bench/Call", seconds, body, grpc=True) * (messages or 1)
        return {f"CPU µs per {unit}": (proxy.cpu_s() - before) * 1e6 / total}

    return measure


def _latency(proxy: Proxy, seconds: float) -> Figures:
    p50, p99 = clients.latencies_ms(proxy.port, SMALL, seconds, half_load)
    return {"p50 ms": p50, "p99 ms": p99}


half_load = 5000.0  # requests per second, the same for all; set before the case by what Envoy reached


def set_half_load(envoy: Proxy) -> None:
    global half_load
    _, reached = clients.wrk(envoy.port, SMALL, 2)
    half_load = reached / 2


def _bytes(down: bool) -> Callable[[Proxy, float], Figures]:
    def measure(proxy: Proxy, seconds: float) -> Figures:
        before = proxy.cpu_s()
        gigabytes = clients.iperf3(proxy.port, seconds, down)
        return {"CPU ms per GB": (proxy.cpu_s() - before) * 1e3 / gigabytes}

    return measure


def _start(proxy: Proxy, _: float) -> Figures:
    return {"start to first 200, ms": proxy.wait(clients.answers) * 1e3}


def _memory(proxy: Proxy, seconds: float) -> Figures:
    proxy.wait(clients.answers)
    time.sleep(1)  # what starting freed has been given back
    rss, pss = proxy.memory_kb()
    clients.wrk(proxy.port, SMALL, seconds)  # pools and caches as large as they get
    held = clients.idle_connections(proxy.port, FIRST)
    _, before = proxy.memory_kb()
    held += clients.idle_connections(proxy.port, IDLE)
    _, after = proxy.memory_kb()
    for sock in held:
        sock.close()
    return {
        "PSS at start, MiB": pss / 1024,
        "RSS at start, MiB": rss / 1024,
        "PSS per idle connection, KiB": (after - before) / IDLE,
    }


def _memory_of_tls(proxy: Proxy, seconds: float) -> Figures:
    """Of connections that had a small answer, and of such as had a large one."""
    proxy.wait(clients.answers_tls)
    clients.wrk(proxy.port, SMALL, seconds, tls=True)
    held = clients.idle_connections(proxy.port, TLS_FIRST, tls=True)
    held += clients.idle_connections(proxy.port, TLS_FIRST, tls=True, size=BURST)
    figures = {}
    for figure, size in (("PSS per idle connection, KiB", 0), ("PSS per connection after 300 KB, KiB", BURST)):
        _, before = proxy.memory_kb()
        held += clients.idle_connections(proxy.port, TLS_IDLE, tls=True, size=size)
        _, after = proxy.memory_kb()
        figures[figure] = (after - before) / TLS_IDLE
    for sock in held:
        sock.close()
    return figures


def _memory_of_workers(proxy: Proxy, seconds: float) -> Figures:
    proxy.wait(clients.answers)
    clients.wrk(proxy.port, SMALL, seconds)
    _, pss = proxy.memory_kb()
    return {"PSS after requests, MiB": pss / 1024}


CPU = "CPU µs per request"
RETRIES = {"retry_policy": {"retry_on": "5xx,reset,connect-failure", "num_retries": 2}}
MESSAGE = "CPU µs per message"
TO_HTTP2: dict[str, Any] = {"kind": "http2", "http2": True, "cluster": {"http2_protocol_options": {}}}
CASES = [
    Case("get", "small GET, keep-alive", _requests(SMALL), goals={CPU: 1.0}),
    Case("get-varied", "small GET, no two heads the same", _requests(SMALL, varied=True)),
    Case("down-1k", "GET of 1 KiB", _requests(KIB)),
    Case("down-100k", "GET of 100 KiB", _requests(KIB100)),
    Case("up-1k", "POST of 1 KiB", _requests(SMALL, 1024)),
    Case("up-100k", "POST of 100 KiB", _requests(SMALL, 100 * 1024)),
    Case("new-connection", "small GET, a connection each", _requests(SMALL, keep_alive=False)),
    Case("tls-get", "small GET over TLS 1.3", _requests(SMALL), tls=True, goals={CPU: 1.0}),
    Case("tls-down-100k", "GET of 100 KiB over TLS", _requests(KIB100), tls=True, goals={CPU: 1.3}),
    Case("tls-bulk", "GETs of 1 MiB over TLS", _bulk(1024 * 1024), tls=True, goals={PER_GB: 1.3}),
    Case("tls-new", "small GET, a TLS connection each", _requests(SMALL, keep_alive=False), tls=True, goals={CPU: 2.0}),
    Case("tls-memory", f"TLS, {TLS_IDLE} connections", _memory_of_tls, tls=True, fresh=True),
    Case("h2-get", "small GET over HTTP/2, to HTTP/1.1", _http2(SMALL), http2=True, goals={CPU: 1.5}),
    Case("h2-get-varied", "small GET over HTTP/2, to HTTP/1.1, paths differ", _http2(SMALL, varied=True), http2=True),
    Case("h2-up-1k", "POST of 1 KiB over HTTP/2, to HTTP/1.1", _http2(SMALL, 1024), http2=True, goals={CPU: 1.5}),
    Case("h2-h2-get", "small GET over HTTP/2, to HTTP/2", _http2(SMALL), goals={CPU: 2.0}, **TO_HTTP2),
    Case("grpc-unary", "a gRPC call with small messages", _grpc(0), goals={CPU: 2.0}, **TO_HTTP2),
    Case("grpc-stream", "gRPC, a stream of 100 messages of 1 KiB", _grpc(100), goals={MESSAGE: 2.0}, **TO_HTTP2),
    Case("latency", "small GET at half of Envoy's load", _latency),
    Case("routes-10000", "small GET, last of 10,000 routes", _requests(SMALL), routes=10_000),
    Case("log-text", "small GET, logged as Istio does", _requests(SMALL), log="text"),
    Case("log-json", "small GET, logged as JSON", _requests(SMALL), log="json"),
    Case("outliers", "small GET, outlier detection and breakers", _requests(SMALL), cluster=OUTLIERS),
    Case("retry-policy", "small GET, retry policy set and not used", _requests(SMALL), action=RETRIES),
    Case("tcp-down", "TCP from upstream", _bytes(down=True), kind="tcp", goals={"CPU ms per GB": 1.0}),
    Case("tcp-up", "TCP to upstream", _bytes(down=False), kind="tcp", goals={"CPU ms per GB": 1.0}),
    Case(
        "scrape",
        "stats of 1,000 clusters",
        scrape.scrapes,
        clusters=scrape.CLUSTERS,
        goals={f"CPU ms per scrape, {name}": 1.5 for name in scrape.PAGES.values()},
    ),
    Case("scrape-delay", "small GET, stats of 1,000 clusters", scrape.delay, clusters=scrape.CLUSTERS),
    Case("start", "start-up", _start, fresh=True),
    Case(
        "memory",
        f"one worker, {FIRST + IDLE} idle connections",
        _memory,
        fresh=True,
        goals={"PSS at start, MiB": 0.7, "RSS at start, MiB": 0.7, "PSS per idle connection, KiB": 1.0},
    ),
    Case("memory-workers", "two workers", _memory_of_workers, workers=2, fresh=True),
    Case("memory-more-workers", "three workers", _memory_of_workers, workers=3, fresh=True),
]
