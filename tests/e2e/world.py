"""A whole proxy in this process, on real sockets: built from YAML, with upstreams that a test scripts."""

import asyncio
import gc
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.process.options import parse_options
from meshproxy.process.server import Server

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# Made once per connection or exchange: none of them may outlive it.
TRANSIENT = (
    "Stream", "Attempt", "JudgedAttempt", "AttendedAttempt", "Tries", "Mirror", "KeptBody", "Http1Server",
    "Http1Client", "Connection", "RequestHeaders", "ResponseHeaders", "ChunkedDecoder", "TcpSession", "Relay",
    "Http2Server", "Http2Exchange", "TlsServer", "TlsClient", "TlsFacts", "MultiplexedStream",
)  # fmt: skip

HTTP = """
static_resources:
  listeners:
  - name: in
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    per_connection_buffer_limit_bytes: {buffer}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          delayed_close_timeout: 0.05s
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: origin, timeout: {timeout}}}}}]
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: origin
    connect_timeout: 1s
    per_connection_buffer_limit_bytes: {buffer}
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
"""


@asynccontextmanager
async def proxy(text: str) -> AsyncIterator[tuple[Server, int]]:
    """A serving proxy and the port of its first listener."""
    options = parse_options(["--config-yaml", text])
    loaded = load_bootstrap(None, text)
    server = Server(options, loaded, asyncio.get_running_loop())
    server.build()
    loaded.problems.check()
    await server.start()
    # What is there for good is not looked at by `transient`, which would take a second of it.
    gc.collect()
    gc.freeze()
    try:
        yield server, server.listeners[0].sockets[0].getsockname()[1]
    finally:
        gc.unfreeze()
        await server.stop()


@asynccontextmanager
async def upstream(talk: Talk) -> AsyncIterator[int]:
    """A server on a free port; `talk` serves each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def transient(server: Server) -> Counter[str]:
    """How many objects of the transient kinds are alive, but for connections that wait in a pool to be used again."""
    gc.collect()
    found = Counter(map(type, gc.get_objects()))
    return Counter({
        kind.__name__: count for kind, count in found.items()
        if kind.__name__ in TRANSIENT and kind.__module__.startswith("meshproxy.")
    }) - Counter(Http1Client=pooled(server))  # fmt: skip


def pooled(server: Server) -> int:
    """Connections to upstreams, in use or not; both ends of each are in this process."""
    return sum(cluster.stats.upstream_cx_active for cluster in server.ctx.clusters)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def settled(condition: Callable[[], bool], what: str) -> None:
    """Waits until `condition` holds; fails after a minute, saying what did not happen."""
    deadline = asyncio.get_running_loop().time() + 60
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, what
        await asyncio.sleep(0.1)
