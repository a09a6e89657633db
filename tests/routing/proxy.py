"""An HTTP manager with its routes and clusters in front of scripted upstreams, all on real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.build_http_manager import build_http_manager
from meshproxy.config.context import Context
from meshproxy.config.parse import parse
from meshproxy.config.view import View
from meshproxy.downstream.http1_server import Http1Server
from meshproxy.downstream.http_manager import HttpManager
from meshproxy.http.stream import Stream
from meshproxy.net.connection import Connection, socket_address
from meshproxy.upstream.cluster import Cluster

_ROUTER = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
_MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
Tree = dict[str, Any]


def _view(name: str, tree: Tree) -> View:
    message, problems = parse(tree, name)
    assert not problems, problems
    return View(message)


def cluster(name: str, *addresses: tuple[str, int], **fields: Any) -> Tree:
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}} for host, port in addresses
    ]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "load_assignment": assignment, **fields}


class _NoListener:
    def connection_ended(self, connection: Connection) -> None: ...


class _Recorder:
    def __init__(self) -> None:
        self.streams: list[Stream] = []

    def log(self, stream: Stream) -> None:
        self.streams.append(stream)


class Proxy:
    """`streams`: those that are over, as an access log sees them."""

    def __init__(self, manager: HttpManager, ctx: Context) -> None:
        self.manager = manager
        self.ctx = ctx
        recorder = _Recorder()
        manager.log = recorder.log
        self.streams = recorder.streams
        self._server: Any = None

    async def start(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Accepting(self), "127.0.0.1", 0)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._server.sockets[0].getsockname()
        return await asyncio.open_connection(host, port)

    async def ask(self, request: str) -> bytes:
        """All that comes back for one request on a connection of its own. Lines may end in LF."""
        reader, writer = await self.connect()
        head, gap, body = request.partition("\n\n")
        writer.write((head.replace("\n", "\r\nconnection: close\r\n", 1).replace("\n", "\r\n").replace("\r\r", "\r")
                      + "\r\n\r\n" + body if gap else request).encode("latin-1"))  # fmt: skip
        answer = await reader.read()
        writer.close()
        return answer

    @property
    def cluster(self) -> Cluster:
        return self.ctx.clusters.by_name["c"]

    def close(self) -> None:
        self._server.close()
        self.ctx.clusters.close()


class _Accepting(asyncio.Protocol):
    """Makes the connection object once its addresses are known, as a listener does."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def connection_made(self, transport: Any) -> None:
        loop = asyncio.get_running_loop()
        names = [socket_address(transport.get_extra_info(kind)) for kind in ("sockname", "peername")]
        connection = Connection(_NoListener(), names[0], names[1], loop.time())
        server = Http1Server(self._proxy.manager, connection)
        transport.set_protocol(server)
        server.connection_made(transport)


@asynccontextmanager
async def proxy(
    *clusters: Tree, route: Tree | None = None, manager: Tree | None = None, router: Tree | None = None
) -> AsyncIterator[Proxy]:
    """Everything goes to the cluster `c`. route: more of its RouteAction. manager, router: more of their messages."""
    ctx = Context(asyncio.get_running_loop())
    for each in clusters:
        add_cluster(_view("envoy.config.cluster.v3.Cluster", each), ctx)
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "c", **(route or {})}}]
    if route and "upgrade_configs" in route:
        routes.insert(0, {"match": {"connect_matcher": {}}, "route": {"cluster": "c", **route}})
    tree = {
        "stat_prefix": "in",
        "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "router", "typed_config": {**_ROUTER, **(router or {})}}],
        **(manager or {}),
    }
    made = Proxy(build_http_manager(_view(_MANAGER, tree), ctx, 1 << 20), ctx)
    await made.start()
    try:
        yield made
    finally:
        made.close()
