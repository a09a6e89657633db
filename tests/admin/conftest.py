"""An admin interface on a real socket, in front of a process that is only played."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import pytest
import uvloop

from meshproxy.admin.build_admin import build_admin
from meshproxy.admin.server_view import DrainStatus, ListenerStatus
from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.build_listeners import build_listener
from meshproxy.config.build_runtime import build_runtime
from meshproxy.config.build_stats_config import build_stats_config
from meshproxy.config.context import Context
from meshproxy.observe.failures import Failure
from meshproxy.observe.peers import Peer, merge
from meshproxy.observe.process_log import ProcessLog
from meshproxy.observe.snapshot import Part, take
from meshproxy.process.options import Options

BOOTSTRAP = """
node: {id: me, cluster: shop}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
layered_runtime: {layers: [{name: base, static_layer: {a.b: 1}}, {name: admin, admin_layer: {}}]}
static_resources:
  listeners:
  - name: entry
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: http
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          route_config:
            name: routes
            virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: reviews}}]}]
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: reviews
    connect_timeout: 0.25s
    type: STATIC
    load_assignment:
      cluster_name: reviews
      endpoints:
      - locality: {region: r1, zone: z1}
        lb_endpoints:
        - endpoint: {hostname: one.local, address: {socket_address: {address: 127.0.0.1, port_value: 9080}}}
  - name: ratings
    type: STATIC
    circuit_breakers: {thresholds: [{max_connections: 5}]}
    load_assignment: {cluster_name: ratings}
"""


@dataclass
class Process:
    """Implements admin.server_view.Server; what it was told is in `told`."""

    ctx: Context
    bootstrap: Any
    listeners: list[Any]
    options: Options = field(default_factory=Options)
    state: str = "LIVE"
    version: str = "0/1/Clean/RELEASE/OpenSSL"
    started: float = field(default_factory=time.time)
    process_log: ProcessLog = field(default_factory=ProcessLog)
    told: list[Any] = field(default_factory=list)

    async def refresh(self, shown: str) -> None:
        self.told.append(shown)

    def stat_parts(self) -> Iterator[Part]:
        return take(self.ctx.stats)

    def drain_status(self) -> DrainStatus:
        return DrainStatus(False, None, [ListenerStatus("entry", True, False, 2, 1)])

    def failures(self) -> list[Failure]:
        return self.ctx.failures.newest()

    def peers(self) -> list[Peer]:
        return merge([self.ctx.peers.rows()])

    def reset_counters(self) -> None:
        self.ctx.stats.reset()

    def reopen_logs(self) -> None:
        self.told.append("reopen")

    def quit(self) -> None:
        self.told.append("quit")

    def fail_health_checks(self, fail: bool) -> None:
        self.state = "DRAINING" if fail else "LIVE"

    def drain_listeners(self, graceful: bool, skip_exit: bool, inbound_only: bool) -> None:
        self.told.append((graceful, skip_exit, inbound_only))


class Reply:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, port: int, process: Process) -> None:
        self.port = port
        self.process = process

    def __call__(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return reply

    def post(self, path: str, body: str | None = None, **headers: str) -> Reply:
        return self(path, "POST", body, **headers)


Start = Callable[[str], Client]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts an admin interface for a bootstrap in YAML; the loop runs in a thread of its own."""
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    opened: list[Any] = []

    async def serve(text: str) -> Client:
        loaded = load_bootstrap(None, text)
        ctx = Context(asyncio.get_running_loop())
        static = loaded.view.static_resources
        for cluster in static.clusters:
            add_cluster(cluster, ctx)
        ctx.stats_config = build_stats_config(loaded.view.stats_config, ctx)
        ctx.runtime_layers.sources = build_runtime(loaded.view.layered_runtime, "shop")
        ctx.runtime_layers.load()
        process = Process(ctx, loaded.message, [build_listener(each, ctx) for each in static.listeners])
        admin = build_admin(loaded.view.admin, process)
        assert admin is not None
        await admin.start()
        opened.extend([admin, ctx.log_files])
        return Client(admin.local[1], process)

    try:
        yield lambda text: asyncio.run_coroutine_threadsafe(serve(text), loop).result(20)
    finally:
        for each in opened:
            loop.call_soon_threadsafe(each.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def admin(start: Start) -> Client:
    return start(BOOTSTRAP)
