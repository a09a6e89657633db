"""statsd over TCP."""

import asyncio
import logging

import pytest

from meshproxy.upstream import statsd_connection
from meshproxy.upstream.statsd_connection import StatsdConnection
from tests.upstream.fakes import make_cluster, until


class Server:
    def __init__(self) -> None:
        self.data = b""
        self.connections: list[asyncio.StreamWriter] = []

    async def start(self, port: int = 0) -> tuple[str, int]:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        address: tuple[str, int] = self._server.sockets[0].getsockname()
        return address

    async def stop(self) -> None:
        self._server.close()
        for writer in self.connections:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.append(writer)
        try:
            while data := await reader.read(65536):
                self.data += data
        except ConnectionError:
            writer.close()


def test_lines_wait_for_the_connection_and_go_over_it() -> None:
    async def work() -> None:
        server = Server()
        cluster = make_cluster(await server.start())
        writer = StatsdConnection(cluster)
        writer.write(["a:1|c", "b:2|c"])
        writer.flush()
        await until(lambda: server.data == b"a:1|c\nb:2|c\n")
        writer.write(["c:3|c"])
        writer.flush()
        await until(lambda: server.data.endswith(b"c:3|c\n"))
        assert len(server.connections) == 1
        assert cluster.stats.upstream_cx_total == 1
        assert cluster.stats.upstream_cx_tx_bytes_total == 18
        writer.close()
        await until(lambda: cluster.stats.upstream_cx_active == 0)
        await server.stop()

    asyncio.run(work())


def test_a_server_that_is_gone_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        server = Server()
        address = await server.start()
        cluster = make_cluster(address)
        writer = StatsdConnection(cluster)
        writer.write(["a:1|c"])
        writer.flush()
        await until(lambda: server.data)
        await server.stop()
        await until(lambda: cluster.stats.upstream_cx_destroy == 1)
        for _ in range(3):
            failed = cluster.stats.upstream_cx_connect_fail
            writer.write(["lost:1|c"])
            writer.flush()
            await until(lambda: cluster.stats.upstream_cx_connect_fail > failed)  # noqa: B023
        assert caplog.text.count("stats cannot be sent to cluster") == 1
        again = Server()
        await again.start(address[1])
        writer.write(["b:1|c"])
        writer.flush()
        await until(lambda: again.data == b"b:1|c\n")
        writer.close()
        await again.stop()

    with caplog.at_level(logging.WARNING):
        asyncio.run(work())


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(statsd_connection, "_MAX_WAITING", 10)
    cluster = make_cluster(("127.0.0.1", 1))
    writer = StatsdConnection(cluster)
    writer.write(["a:1|c"])
    writer.write(["b:1|c"])
    assert cluster.stats.upstream_cx_overflow == 1
    assert "it takes them too slowly" in caplog.text
