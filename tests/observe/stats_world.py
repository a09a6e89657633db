"""Envoy and meshproxy with the same configuration and traffic, to compare what they count."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from string import Template

import yaml

from tests.parity.proxies import Proxy

CONFIG = Path(__file__).with_name("stats_world.yaml")
PATHS = (
    "/", "/special", "/refused", "/direct", "/redirect", "/no-cluster", "/named", "/remaining", "/endpoints",
)  # fmt: skip


class World:
    """One proxy with an upstream of its own."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.ports: dict[str, int] = {}

    async def traffic(self) -> None:
        """A request to each path over one connection, which ends; a TCP connection; PROXY headers, good and bad."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports["web"])
        for path in PATHS:
            writer.write(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
            await reader.readexactly(int(length or 0))
        writer.close()
        await self._send("tcp", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await self._send("proxied", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nhello")
        await self._send("proxied", b"no header at all, and long enough for one")
        await self.until("listener.web.downstream_cx_destroy", 1)
        await self.until("tcp.tcp.downstream_cx_total", 1)
        await self.until("cluster.tunnel.upstream_cx_destroy", 1)
        await self.until("listener.proxied.downstream_cx_destroy", 1)
        await self.until("downstream_cx_proxy_proto_error", 1)
        # The upstream's connection of the TCP proxy, and pools whose client has gone, have nothing more to say.
        await self.until("cluster.tunnel.upstream_cx_active", 0)
        await self.until("http.in.downstream_cx_active", 0)

    async def until(self, name: str, value: int) -> None:
        async with asyncio.timeout(20):
            while f"{name}: {value}\n" not in await self.proxy.ask(f"/stats?filter=^{name}$"):
                await asyncio.sleep(0.01)

    async def stats(self, query: str) -> dict[str, str]:
        """Lines of /stats by name."""
        page = await self.proxy.ask(f"/stats?{query}")
        return dict(line.split(": ", 1) for line in page.splitlines() if ": " in line)

    async def _send(self, listener: str, data: bytes) -> None:
        """And waits for the first answer, or the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[listener])
        writer.write(data)
        try:
            await reader.read(1)
        except ConnectionError:
            pass
        writer.close()


@asynccontextmanager
async def world(kind: str, folder: Path, more: str = "") -> AsyncIterator[World]:
    """`more`: of the bootstrap, as YAML. `kind`: envoy or meshproxy."""
    folder.mkdir()
    upstream = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    config = yaml.safe_load(Template(CONFIG.read_text()).substitute(upstream=port, more=more))
    made = World(Proxy(kind, folder))
    await made.proxy.start(json.dumps(config))
    try:
        listeners = json.loads(await made.proxy.ask("/listeners?format=json"))["listener_statuses"]
        made.ports = {each["name"]: each["local_address"]["socket_address"]["port_value"] for each in listeners}
        yield made
    finally:
        await made.proxy.stop()
        upstream.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
