"""A listener built from its configuration, served on a free port, with raw sockets on both sides."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

import uvloop
import yaml

from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.build_listeners import build_listener
from meshproxy.config.context import Context
from meshproxy.config.parse import parse
from meshproxy.config.view import View, unread
from meshproxy.downstream.listener import Listener
from meshproxy.net.tasks import running

PATIENCE = 10.0
TYPES = "type.googleapis.com/envoy.extensions.filters"


def view_of(text: str | dict[str, Any], kind: str) -> View:
    message, problems = parse(yaml.safe_load(text) if isinstance(text, str) else text, kind)
    assert not problems, problems
    return View(message)


def network(name: str, message: str, **fields: Any) -> dict[str, Any]:
    """A network filter: network("echo", "Echo")."""
    return {"name": name, "typed_config": {"@type": f"{TYPES}.network.{name}.v3.{message}", **fields}}


def listening(name: str, message: str, **fields: Any) -> dict[str, Any]:
    """A listener filter."""
    return {"name": name, "typed_config": {"@type": f"{TYPES}.listener.{name}.v3.{message}", **fields}}


def tcp_proxy(**fields: Any) -> dict[str, Any]:
    return network("tcp_proxy", "TcpProxy", **{"stat_prefix": "in", "cluster": "origin", **fields})


def says(text: str) -> dict[str, Any]:
    """A chain that tells by its answer that it was chosen."""
    return network("direct_response", "Config", response={"inline_string": text})


ECHO = network("echo", "Echo")


class Serving:
    """A started listener, and what tests do with it."""

    def __init__(self, ctx: Context, listener: Listener) -> None:
        self.ctx = ctx
        self.listener = listener
        self.loop = ctx.loop

    @property
    def address(self) -> Any:
        return self.listener.sockets[0].getsockname()

    async def connect(self, address: Any = None) -> socket.socket:
        where = self.address if address is None else address
        family = socket.AF_UNIX if not isinstance(where, tuple) else socket.AF_INET
        sock = socket.socket(socket.AF_INET6 if family == socket.AF_INET and ":" in where[0] else family)
        sock.setblocking(False)
        await self.loop.sock_connect(sock, where)
        return sock

    async def ask(self, sent: bytes = b"", end: bool = False) -> bytes:
        """Sends on a new connection and reads until it ends."""
        sock = await self.connect()
        with sock:
            if sent:
                await self.loop.sock_sendall(sock, sent)
            if end:
                sock.shutdown(socket.SHUT_WR)
            return await read_all(sock)


@asynccontextmanager
async def serving(
    *filters: dict[str, Any], clusters: dict[str, Any] | None = None, **fields: Any
) -> AsyncIterator[Serving]:
    """A listener with one chain of these filters. fields: the listener's; clusters: name -> port of its endpoint."""
    ctx = Context(asyncio.get_running_loop())
    for name, endpoint in (clusters or {}).items():
        add_cluster(view_of(_cluster(name, endpoint), "envoy.config.cluster.v3.Cluster"), ctx)
    ctx.clusters.start()
    config = {"name": "in", "address": _address(), "filter_chains": [{"filters": list(filters)}], **fields}
    given = {key: value for key, value in config.items() if value is not None}
    view = view_of(given, "envoy.config.listener.v3.Listener")
    listener = build_listener(view, ctx)
    errors = [problem for problem in unread(view) if problem.severity == "error"]
    assert not errors, errors
    await listener.start()
    try:
        yield Serving(ctx, listener)
    finally:
        listener.close()
        ctx.clusters.close()


def _address() -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": 0}}


def _cluster(name: str, endpoint: Any) -> dict[str, Any]:
    if isinstance(endpoint, dict):
        return {"name": name, **endpoint}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": endpoint}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}] if endpoint else []
    return {"name": name, "connect_timeout": "5s", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


Serve = Callable[[socket.socket], Awaitable[None]]


@asynccontextmanager
async def upstream(serve: Serve) -> AsyncIterator[int]:
    """A server that hands each connection to `serve`; gives its port. Raises what `serve` raised."""
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        tasks: list[asyncio.Task[None]] = []

        async def accept() -> None:
            while True:
                sock, _ = await loop.sock_accept(server)
                sock.setblocking(False)
                tasks.append(asyncio.create_task(closing(sock)))

        async def closing(sock: socket.socket) -> None:
            with sock:
                await serve(sock)

        acceptor = asyncio.create_task(accept())
        try:
            yield server.getsockname()[1]
            async with asyncio.timeout(PATIENCE):
                await asyncio.gather(*tasks)
        finally:
            acceptor.cancel()
            for task in tasks:
                task.cancel()


async def read_all(sock: socket.socket) -> bytes:
    """Until the end. Raises ConnectionResetError for a reset."""
    chunks = []
    async with asyncio.timeout(PATIENCE):
        while chunk := await asyncio.get_running_loop().sock_recv(sock, 65536):
            chunks.append(chunk)
    return b"".join(chunks)


async def read(sock: socket.socket, count: int) -> bytes:
    data = b""
    async with asyncio.timeout(PATIENCE):
        while len(data) < count:
            chunk = await asyncio.get_running_loop().sock_recv(sock, count - len(data))
            assert chunk, f"ended after {data!r}"
            data += chunk
    return data


async def send(sock: socket.socket, data: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        await asyncio.get_running_loop().sock_sendall(sock, data)


async def until(condition: Callable[[], Any]) -> None:
    """Waits for the other side of a socket to have noticed something."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def looped(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test on the loop that the proxy runs on; nothing it started may be left over."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_alone(test, *args, **kwargs))

    return run


async def _alone(test: Callable[..., Coroutine[Any, Any, None]], *args: Any, **kwargs: Any) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    await test(*args, **kwargs)
    await until(lambda: running() == 0)
    assert not faults, faults
