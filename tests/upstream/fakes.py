"""Scripted upstreams on real sockets, and attempts that note what happens to them."""

import asyncio
import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import uvloop

from meshproxy.http.failures import Failure
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.http1_client import Http1Client
from meshproxy.upstream.pool_settings import PoolSettings
from meshproxy.upstream.priorities import PriorityBalancer
from meshproxy.upstream.stats import ClusterStats, EndpointStats

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


async def read_head(reader: asyncio.StreamReader) -> bytes:
    """One request's head; empty where the connection ended."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def serve_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await read_head(reader):
        writer.write(OK)


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine, on a loop like that of a worker."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(test(*arguments, **named), 30))

    return run


class Upstream:
    """A listening server whose connections are handled by `handler`, one coroutine each."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._writers: list[asyncio.StreamWriter] = []
        self._server: Any = None
        self.accepted = 0
        self.address = ("", 0)

    async def start(self, host: str = "127.0.0.1") -> None:
        self._server = await asyncio.start_server(self._handle, host, 0)
        self.address = self._server.sockets[0].getsockname()[:2]

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.append(writer)
        try:
            await self._handler(reader, writer)
        except ConnectionError:
            # The proxy went away: tests look at its side.
            pass
        finally:
            writer.close()

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()


@asynccontextmanager
async def upstream(handler: Handler = serve_ok) -> AsyncIterator[Upstream]:
    server = Upstream(handler)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


@contextmanager
def black_hole() -> Iterator[tuple[str, int]]:
    """An address where a connection is neither accepted nor refused: a listener whose queue is full."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield full.getsockname()


class Try:
    """Stands where an attempt stands: asks a pool for a connection, sends GET, and notes the answer."""

    def __init__(self) -> None:
        self.client: Http1Client | None = None
        self.status = 0
        self.body = b""
        self.failure: Failure | None = None
        self.reason = ""
        self.ready = asyncio.Event()
        self.done = asyncio.Event()
        # Holds the request back, to keep a connection busy.
        self.send = True

    def on_ready(self, client: Http1Client) -> None:
        self.client = client
        self.ready.set()
        if self.send:
            client.send_headers(self, RequestHeaders("GET", "/", "a.test", []), True)
            client.flush()

    def on_informational(self, headers: ResponseHeaders) -> None: ...
    def on_write_paused(self) -> None: ...
    def on_write_resumed(self) -> None: ...
    def on_read(self) -> None: ...

    def on_response(self, headers: ResponseHeaders, body: bytes) -> None:
        self.on_headers(headers, not body)
        self.on_data(body, True)

    def on_headers(self, headers: ResponseHeaders, end: bool) -> None:
        self.status = headers.status
        if end:
            self.done.set()

    def on_data(self, data: bytes, end: bool) -> None:
        self.body += data
        if end:
            self.done.set()

    def on_trailers(self, trailers: Headers) -> None:
        self.done.set()

    def on_reset(self, failure: Failure, reason: str) -> None:
        self.failure, self.reason = failure, reason
        self.done.set()


def make_cluster(*addresses: tuple[str, int], **settings: Any) -> Cluster:
    stats = ClusterStats()
    cluster = Cluster("c", PriorityBalancer(RoundRobin(), stats), PoolSettings(**settings), stats)
    cluster.set_endpoints([Endpoint(address) for address in addresses])
    return cluster


def begin(cluster: Cluster, send: bool = True) -> Try:
    """Starts a try on the cluster's next endpoint."""
    attempt = Try()
    attempt.send = send
    endpoint = cluster.balancer.pick(None)
    assert endpoint is not None
    pool = cluster.pool(endpoint)
    assert pool is not None
    client = pool.take(attempt)
    if client is not None:
        attempt.on_ready(client)
    return attempt


async def exchange(cluster: Cluster) -> Try:
    attempt = begin(cluster)
    await attempt.done.wait()
    return attempt


async def until(condition: Callable[[], bool]) -> None:
    """Lets the loop run until something is so."""
    while not condition():
        await asyncio.sleep(0.001)


def settled(cluster: Cluster) -> bool:
    """Nothing of the cluster is in use any more."""
    stats, limits = cluster.stats, cluster.limits
    gauges = [stats.upstream_cx_active, stats.upstream_rq_active, stats.upstream_rq_pending_active]
    used = [each.own for limit in limits for each in (limit.connections, limit.pending, limit.requests, limit.pools)]
    ends = [getattr(each.stats, name) for each in cluster.endpoints for name in EndpointStats.GAUGES]
    pools = [pool for endpoint in cluster.endpoints for pool in endpoint.pools]
    return not any(gauges + used + ends) and not any(pools)
