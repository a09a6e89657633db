"""WebSocket, the `websockets` library at both ends: one proxy and two, plain and TLS, HTTP/1 and HTTP/2 in between."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.kit import pki

from .world import proxy, settled

BUFFER = 64 * 1024

LISTENER = """
  - name: {name}
    address: {address}
    per_connection_buffer_limit_bytes: {buffer}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {name}
          upgrade_configs: [{{upgrade_type: websocket}}]
          stream_idle_timeout: {idle}
          http2_protocol_options: {{allow_connect: true}}
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{{match: {{prefix: /}}, route: {{cluster: {to}, timeout: 0s}}}}]
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
{transport}"""
CLUSTER = """
  - name: {name}
    connect_timeout: 5s
    per_connection_buffer_limit_bytes: {buffer}
    load_assignment:
      cluster_name: {name}
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {address}}}}}]}}]
{more}"""
HTTP2 = """    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {allow_connect: true}}
"""


@dataclass(frozen=True)
class Way:
    """From the client to the server. hop: what is spoken between two proxies, or nothing where there is but one."""

    hop: str
    tls: bool

    def __str__(self) -> str:
        return f"{self.hop or 'one proxy'}{', TLS' if self.tls else ''}"


WAYS = [Way("", False), Way("", True), Way("HTTP/1", False), Way("HTTP/2", False), Way("HTTP/2", True)]


def config(way: Way, port: int, folder: Path, idle: str) -> str:
    server = client = ""
    if way.tls:
        certificates = pki.write(folder, ("ca", "server"))
        chain, key, root = (certificates / name for name in ("server.pem", "server.key", "ca.pem"))
        server = f"""      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates: [{{certificate_chain: {{filename: {chain}}}, private_key: {{filename: {key}}}}}]
"""
        client = f"""    transport_socket:
      name: tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context: {{validation_context: {{trusted_ca: {{filename: {root}}}}}, alpn_protocols: [h2]}}
"""
    here = "{socket_address: {address: 127.0.0.1, port_value: %d}}"
    middle = f"{{pipe: {{path: {folder}/middle}}}}"
    two = bool(way.hop)
    listeners = LISTENER.format(
        name="front", address=here % 0, buffer=BUFFER, idle=idle, to="middle" if two else "origin", transport=server
    )
    clusters = CLUSTER.format(name="origin", buffer=BUFFER, address=here % port, more="")
    if two:
        listeners += LISTENER.format(
            name="middle", address=middle, buffer=BUFFER, idle=idle, to="origin", transport=server
        )
        more = (HTTP2 if way.hop == "HTTP/2" else "") + client
        clusters += CLUSTER.format(name="middle", buffer=BUFFER, address=middle, more=more)
    return f"static_resources:\n  listeners:{listeners}\n  clusters:{clusters}"


Handler = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class World:
    port: int
    tls: bool

    def connect(self, path: str = "/", **options: Any) -> Any:
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        scheme = "wss" if self.tls else "ws"
        options = {"subprotocols": ["chat"], "compression": None, "proxy": None, **options}
        return connect(f"{scheme}://127.0.0.1:{self.port}{path}", ssl=context, **options)


@asynccontextmanager
async def world(way: Way, folder: Path, handler: Handler, idle: str = "60s") -> AsyncIterator[World]:
    options: dict[str, Any] = {"compression": None, "max_size": None, "subprotocols": ["chat"]}
    async with serve(handler, "127.0.0.1", 0, **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with proxy(config(way, port, folder, idle)) as (running, front):
            yield World(front, way.tls)
            await settled(lambda: not any(each.stats.upstream_rq_active for each in running.ctx.clusters), "all ended")


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        if message == "bye":
            await connection.close(4001, "as you wish")
        elif message == "die":
            connection.transport.abort()
        else:
            await connection.send(message)


def run(test: Awaitable[None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test)  # type: ignore[arg-type]


@pytest.fixture(params=WAYS, ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


def test_conversations(way: Way, tmp_path: Path) -> None:
    async def messages(client: ClientConnection) -> None:
        for message in ("hello", "", b"", b"\0" * 70_000, "\u00e9" * 1000):
            await client.send(message)
            assert await client.recv() == message
        await client.send(["in ", "three ", "pieces"])
        assert await client.recv() == "in three pieces"
        await (await client.ping())

    async def ends(world: World) -> None:
        async with world.connect() as client:
            assert client.subprotocol == "chat"
            await client.send("bye")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4001, "as you wish")
        async with world.connect() as client:
            await client.close(4002, "enough")
            assert client.close_code == 4002
        async with world.connect() as client:
            await client.send("die")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert client.close_code == 1006

    async def test() -> None:
        async with world(way, tmp_path, echo) as here:
            async with here.connect(max_size=None) as client:
                await messages(client)
                large = b"x" * 3_000_000
                await client.send(large)
                assert await client.recv() == large
            await ends(here)
            clients = [await here.connect() for _ in range(20)]
            await asyncio.gather(*[messages(each) for each in clients])
            await asyncio.gather(*[each.close() for each in clients])

    run(test())


def test_who_does_not_read_holds_back_who_writes(way: Way, tmp_path: Path) -> None:
    """Nothing is read at the far end, so little is taken at the near one; once it is, all of it comes."""

    async def test() -> None:
        reads = asyncio.Event()
        received = 0

        async def slow(connection: ServerConnection) -> None:
            nonlocal received
            await reads.wait()
            async for message in connection:
                received += len(message)

        async with world(way, tmp_path, slow) as here, here.connect() as client:
            piece, count = b"x" * 65536, 400
            sent = 0

            async def send() -> None:
                nonlocal sent
                for _ in range(count):
                    await client.send(piece)
                    sent += 1

            sending = asyncio.create_task(send())
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.3)
            # The kernel's buffers on the way hold most of it.
            assert sent < count, "26 MB went nowhere"
            reads.set()
            await sending
            await client.close()
            await settled(lambda: received == count * len(piece), "all of it came")

    run(test())


def test_a_silent_one_is_ended(way: Way, tmp_path: Path) -> None:
    async def test() -> None:
        async with world(way, tmp_path, echo, idle="0.3s") as here, here.connect(ping_interval=None) as client:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(client.recv(), 20)

    run(test())


def test_a_handshake_that_is_refused(way: Way, tmp_path: Path) -> None:
    async def test() -> None:
        async with world(way, tmp_path, echo) as here:
            with pytest.raises(InvalidStatus) as refused:
                async with here.connect(subprotocols=["chess"]):
                    pass
            assert refused.value.response.status_code >= 400

    run(test())
