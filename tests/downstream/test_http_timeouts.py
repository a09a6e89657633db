"""Timeouts of connections and streams, on real sockets with short times."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from meshproxy.downstream.http1_server import Http1Server
from meshproxy.net.connection import Connection, socket_address
from meshproxy.testing import Bench

SHORT = "0.02s"
PATIENCE = 10.0
SILENT: list[dict[str, Any]] = [{"match": {"prefix": "/"}, "route": {"cluster": "c"}}]


class Served:
    """A manager behind a socket; its upstream never answers. `say`: sends, and gives all that comes until the end."""

    def __init__(self, bench: Bench, server: asyncio.Server) -> None:
        self.bench = bench
        self._server = server

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._server.sockets[0].getsockname()
        return await asyncio.open_connection(host, port)

    async def say(self, text: str) -> str:
        reader, writer = await self.connect()
        writer.write(text.encode())
        async with asyncio.timeout(PATIENCE):
            answer = await reader.read()
        writer.close()
        return answer.decode()

    def counted(self, name: str) -> int:
        return self.bench.stats("http.bench").get(name, 0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


class Owner:
    def connection_ended(self, connection: Connection) -> None: ...


class Accepting(asyncio.Protocol):
    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def connection_made(self, transport: Any) -> None:
        names = [socket_address(transport.get_extra_info(kind)) for kind in ("sockname", "peername")]
        connection = Connection(Owner(), names[0], names[1], asyncio.get_running_loop().time())
        server = Http1Server(self.bench.http, connection)
        transport.set_protocol(server)
        server.connection_made(transport)


class Mute:
    """A terminal filter that takes requests and says nothing."""

    def __init__(self) -> None:
        self.streams: list[Any] = []

    def start(self, stream: Any, end: bool) -> None:
        self.streams.append(stream)

    def send_data(self, stream: Any, data: bytes, end: bool) -> None: ...
    def send_trailers(self, stream: Any, trailers: Any) -> None: ...
    def flush(self, stream: Any) -> None: ...
    def abort(self, stream: Any) -> None: ...
    def pause_reading(self, stream: Any) -> None: ...
    def resume_reading(self, stream: Any) -> None: ...


@asynccontextmanager
async def serving(mute: bool = True, routes: Any = SILENT, **manager: Any) -> AsyncIterator[Served]:
    bench = Bench(routes=routes, manager=manager, loop=asyncio.get_running_loop())
    if mute:
        bench.http.terminal = Mute()
    server = await asyncio.get_running_loop().create_server(lambda: Accepting(bench), "127.0.0.1", 0)
    try:
        yield Served(bench, server)
    finally:
        server.close()


def run(test: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test)


GET = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"
PART = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc"
HALF_HEAD = "GET / HTTP/1.1\r\nho"


@pytest.mark.parametrize(
    "field, request_text, status, details, counter",
    [
        ("stream_idle_timeout", GET, 504, "stream_idle_timeout", "downstream_rq_idle_timeout"),
        ("stream_idle_timeout", PART, 408, "stream_idle_timeout", "downstream_rq_idle_timeout"),
        ("stream_idle_timeout", HALF_HEAD, 408, "stream_idle_timeout", "downstream_rq_idle_timeout"),
        ("request_timeout", PART, 408, "request_overall_timeout", "downstream_rq_timeout"),
        ("request_timeout", HALF_HEAD, 408, "request_overall_timeout", "downstream_rq_timeout"),
        ("request_headers_timeout", HALF_HEAD, 408, "request_header_timeout", "downstream_rq_header_timeout"),
    ],
)
def test_streams_that_take_too_long(field: str, request_text: str, status: int, details: str, counter: str) -> None:
    async def test() -> None:
        async with serving(delayed_close_timeout=SHORT, **{field: SHORT}) as served:
            reader, writer = await served.connect()
            writer.write(request_text.encode())
            async with asyncio.timeout(PATIENCE):
                first = await reader.readline()
            assert first.startswith(f"HTTP/1.1 {status} ".encode())
            assert [stream.details for stream in served.bench.streams] == [details]
            assert served.counted(counter) == 1
            writer.close()

    run(test())


@pytest.mark.parametrize("request_text, status", [(GET, 504), (PART, 408)])
def test_max_stream_duration(request_text: str, status: int) -> None:
    async def test() -> None:
        options = {"max_stream_duration": SHORT}
        async with serving(common_http_protocol_options=options, delayed_close_timeout=SHORT) as served:
            reader, writer = await served.connect()
            writer.write(request_text.encode())
            async with asyncio.timeout(PATIENCE):
                assert (await reader.readline()).split()[1] == str(status).encode()
            assert served.bench.streams[0].details == "max_duration_timeout"
            assert served.counted("downstream_rq_max_duration_reached") == 1
            writer.close()

    run(test())


def test_routes_have_their_own_idle_timeout() -> None:
    async def test() -> None:
        routes = [{"match": {"prefix": "/"}, "route": {"cluster": "c", "idle_timeout": SHORT}}]
        async with serving(routes=routes) as served:
            reader, writer = await served.connect()
            writer.write(GET.encode())
            async with asyncio.timeout(PATIENCE):
                assert (await reader.readline()).split()[1] == b"504"
            assert served.bench.streams[0].flags == ("SI",)
            writer.close()

    run(test())


def test_a_connection_that_never_asked_is_closed_at_once() -> None:
    async def test() -> None:
        async with serving(common_http_protocol_options={"idle_timeout": SHORT}) as served:
            assert await served.say("") == ""
            await until(lambda: served.counted("downstream_cx_idle_timeout") == 1)
            assert served.counted("downstream_cx_destroy_local") == 1

    run(test())


AGE = {"max_connection_duration": SHORT}


@pytest.mark.parametrize(
    "options", [{"idle_timeout": SHORT}, AGE, {**AGE, "max_connection_duration_jitter": {"value": 100}}]
)
def test_a_connection_that_has_asked_is_drained(options: dict[str, Any]) -> None:
    async def test() -> None:
        times = {"drain_timeout": SHORT, "delayed_close_timeout": SHORT}
        async with serving(mute=False, common_http_protocol_options=options, **times) as served:
            assert (await served.say(GET)).startswith("HTTP/1.1 200 OK\r\n")
            await until(lambda: served.bench.http.stats.downstream_cx_active == 0)
            assert served.counted("downstream_cx_delayed_close_timeout") == 1

    run(test())


def test_the_next_response_ends_a_draining_connection() -> None:
    async def test() -> None:
        options = {"max_connection_duration": SHORT}
        async with serving(
            mute=False, common_http_protocol_options=options, http1_safe_max_connection_duration=True,
            delayed_close_timeout="0s",
        ) as served:  # fmt: skip
            reader, writer = await served.connect()
            await until(lambda: served.counted("downstream_cx_max_duration_reached") == 1)
            writer.write(GET.encode())
            async with asyncio.timeout(PATIENCE):
                assert b"connection: close\r\n" in await reader.read()
            writer.close()

    run(test())


def test_an_active_stream_is_not_idle() -> None:
    async def test() -> None:
        async with serving(stream_idle_timeout="0.1s", delayed_close_timeout="0s") as served:
            _, writer = await served.connect()
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
            terminal: Any = served.bench.http.terminal
            await until(lambda: bool(terminal.streams))
            (stream,) = terminal.streams
            # Twice the timeout, in steps that are all shorter.
            while stream.last_activity - stream.started < 0.2:
                before = stream.bytes_received
                writer.write(b"x")
                await until(lambda before=before: stream.bytes_received > before)  # type: ignore[misc]
            assert served.bench.streams == []
            writer.close()
            await until(lambda: len(served.bench.streams) == 1)
            assert served.bench.streams[0].flags == ("DC",)

    run(test())


def test_nothing_waits_for_a_connection_that_is_gone() -> None:
    async def test() -> None:
        options = {"idle_timeout": "9s", "max_connection_duration": "9s", "max_stream_duration": "9s"}
        times = {"request_timeout": "9s", "request_headers_timeout": "9s", "stream_idle_timeout": "9s"}
        async with serving(common_http_protocol_options=options, **times) as served:
            for text in (GET, PART, HALF_HEAD, ""):
                _, writer = await served.connect()
                writer.write(text.encode())
                await writer.drain()
                writer.close()
            await until(lambda: served.bench.http.stats.downstream_cx_destroy == 4)
            time = served.bench.http.time
            queues = (time._watch, time._ages, time._heads, time._drains, *time.per_stream)
            assert [len(queue) for queue in queues if queue is not None] == [0] * 6
            assert time.slow_heads == set()

    run(test())
