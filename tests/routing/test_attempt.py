"""The life of one try: from a client's socket to an upstream's and back, with all that can go wrong."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
import uvloop

from meshproxy.net.tasks import running
from tests.routing.proxy import Proxy, cluster, proxy
from tests.upstream.fakes import OK, Handler, black_hole, read_head, serve_ok, settled, until, upstream

GET = "GET / HTTP/1.1\nhost: a\n\n"


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = running()
    yield
    assert running() == before


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work(), 30))


def answering(answer: bytes) -> Handler:
    """Reads a head, answers, and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer)
        await writer.drain()

    return handle


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def log(made: Proxy) -> tuple[int, tuple[str, ...], str]:
    stream = made.streams[-1]
    return (stream.response.status if stream.response else 0), stream.flags, stream.details


def counted(made: Proxy) -> dict[str, Any]:
    return {name: value for kind, name, value in made.cluster.stats.rows() if kind == "counter"}


async def ends_clean(made: Proxy) -> None:
    made.cluster.close()
    await until(lambda: settled(made.cluster))


def test_an_answer() -> None:
    async def work() -> None:
        async with upstream() as server, proxy(cluster("c", server.address)) as made:
            answer = await made.ask(GET)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-envoy-upstream-service-time: ")
            assert answer.endswith(b"\r\n\r\nok")
            assert log(made) == (200, (), "via_upstream")
            stream = made.streams[0]
            assert stream.endpoint.address == server.address
            assert stream.upstream_connection.local[0] == "127.0.0.1"
            stats = made.cluster.stats
            assert (stats.upstream_rq_total, stats.upstream_rq_active) == (1, 0)
            assert counted(made)["external.upstream_rq_200"] == counted(made)["upstream_rq_completed"] == 1
            assert sum(stats.responses_of("external.").time.counts.values()) == 1
            endpoint = made.cluster.endpoints[0].stats
            assert (endpoint.rq_total, endpoint.rq_success, endpoint.rq_error) == (1, 1, 0)
            await ends_clean(made)

    run(work)


FAILURES = [
    (b"", 503, "UC", "upstream_reset_before_response_started{connection_termination}"),
    (b"garbage\r\n\r\n", 502, "UPE", "upstream_reset_before_response_started{protocol_error}"),
]


@pytest.mark.parametrize(("answer", "status", "flag", "details"), FAILURES)
def test_no_answer(answer: bytes, status: int, flag: str, details: str) -> None:
    async def work() -> None:
        async with upstream(answering(answer)) as server, proxy(cluster("c", server.address)) as made:
            assert (await made.ask(GET)).startswith(f"HTTP/1.1 {status} ".encode())
            assert log(made) == (status, (flag,), details)
            assert counted(made)[f"upstream_rq_{status}"] == 1
            assert made.cluster.endpoints[0].stats.rq_error == 1
            await ends_clean(made)

    run(work)


def test_refused() -> None:
    async def work() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            async with proxy(cluster("c", closed.getsockname())) as made:
                answer = await made.ask(GET)
                assert answer.endswith(b"disconnect/reset before headers. reset reason: remote connection failure")
                reason = "delayed_connect_error:_Connection_refused"
                details = f"upstream_reset_before_response_started{{remote_connection_failure|{reason}}}"
                assert log(made) == (503, ("UF",), details)
                assert made.streams[0].upstream_failure == "delayed connect error: Connection refused"
                assert made.cluster.stats.upstream_rq_total == 0
                await ends_clean(made)

    run(work)


def test_an_answer_that_is_cut_cuts_the_clients() -> None:
    async def work() -> None:
        cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"
        async with upstream(answering(cut)) as server, proxy(cluster("c", server.address)) as made:
            answer = await made.ask(GET)
            assert answer.endswith(b"\r\n\r\nabc")
            assert log(made) == (200, ("UPE",), "upstream_reset_after_response_started{protocol_error}")
            await ends_clean(made)

    run(work)


@pytest.mark.parametrize(
    ("limits", "counter", "endpoint_known"),
    [
        ({"max_pending_requests": 0}, "upstream_rq_pending_overflow", False),
        ({"max_requests": 0}, "upstream_rq_active_overflow", True),
    ],
)
def test_overflow(limits: dict[str, int], counter: str, endpoint_known: bool) -> None:
    async def work() -> None:
        fields = {"circuit_breakers": {"thresholds": [limits]}}
        async with upstream() as server, proxy(cluster("c", server.address, **fields)) as made:
            answer = await made.ask(GET)
            assert b"\r\nx-envoy-overloaded: true\r\n" in answer
            assert answer.endswith(b"reset reason: overflow")
            assert log(made) == (503, ("UO",), "upstream_reset_before_response_started{overflow}")
            assert getattr(made.cluster.stats, counter) == 1
            assert (made.streams[0].endpoint is not None) == endpoint_known
            await ends_clean(made)

    run(work)


def test_no_pool_to_be_had_is_no_healthy_upstream() -> None:
    async def work() -> None:
        fields = {"circuit_breakers": {"thresholds": [{"max_connection_pools": 0}]}}
        async with proxy(cluster("c", ("127.0.0.1", 9), **fields)) as made:
            await made.ask(GET)
            assert log(made) == (503, ("UH",), "no_healthy_upstream")
            assert made.cluster.stats.upstream_cx_pool_overflow == 1
            assert made.cluster.stats.upstream_cx_none_healthy == 0

    run(work)


def test_no_endpoints() -> None:
    async def work() -> None:
        async with proxy(cluster("c")) as made:
            assert (await made.ask(GET)).endswith(b"\r\n\r\nno healthy upstream")
            assert log(made) == (503, ("UH",), "no_healthy_upstream")
            assert made.streams[0].attempts == 1
            assert made.cluster.stats.upstream_cx_none_healthy == 1
            assert counted(made)["external.upstream_rq_503"] == 1

    run(work)


def test_maintenance() -> None:
    async def work() -> None:
        async with proxy(cluster("c", ("127.0.0.1", 9))) as made:
            made.ctx.runtime.set_layer("admin", {"upstream.maintenance_mode.c": 100})
            answer = await made.ask(GET)
            assert b"\r\nx-envoy-overloaded: true\r\n" in answer and answer.endswith(b"maintenance mode")
            assert log(made) == (503, ("UO",), "maintenance_mode")
            assert made.streams[0].attempts == 0
            assert made.cluster.stats.upstream_rq_maintenance_mode == 1

    run(work)


def test_a_route_timeout() -> None:
    async def work() -> None:
        async with upstream(silent) as server, proxy(cluster("c", server.address), route={"timeout": "0.02s"}) as made:
            assert (await made.ask(GET)).endswith(b"\r\n\r\nupstream request timeout")
            assert log(made) == (504, ("UT",), "response_timeout")
            assert counted(made)["upstream_rq_504"] == 1
            assert made.cluster.stats.upstream_rq_timeout == 1
            assert made.cluster.endpoints[0].stats.rq_timeout == 1
            await until(lambda: settled(made.cluster))
            assert made.cluster.stats.upstream_cx_destroy_local_with_active_rq == 1

    run(work)


def test_the_clusters_longest_exchange() -> None:
    async def work() -> None:
        fields = {"common_http_protocol_options": {"max_stream_duration": "0.02s"}}
        async with upstream(silent) as server, proxy(cluster("c", server.address, **fields)) as made:
            assert (await made.ask(GET)).endswith(b"\r\n\r\nupstream max stream duration reached")
            assert log(made) == (504, ("UMSDR",), "upstream_max_stream_duration_reached")
            assert made.cluster.stats.upstream_rq_max_duration_reached == 1
            await until(lambda: settled(made.cluster))

    run(work)


@pytest.mark.parametrize("connected", [True, False])
def test_a_client_that_goes_takes_its_try_with_it(connected: bool) -> None:
    async def work() -> None:
        with black_hole() as nowhere:
            async with upstream(silent) as server:
                address = server.address if connected else nowhere
                async with proxy(cluster("c", address)) as made:
                    _, writer = await made.connect()
                    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    stats = made.cluster.stats
                    gauge = "upstream_rq_active" if connected else "upstream_rq_pending_active"
                    await until(lambda: getattr(stats, gauge) == 1)
                    writer.close()
                    await until(lambda: bool(made.streams))
                    assert log(made)[1] == ("DC",)
                    assert (stats.upstream_rq_active, stats.upstream_rq_pending_active) == (0, 0)
                    assert stats.upstream_rq_cancelled == (0 if connected else 1)
                    assert made.cluster.limits[0].pending.own == made.cluster.limits[0].requests.own == 0
                    for pool in made.cluster.endpoints[0].pools:
                        if pool is not None:
                            pool.close()
                    await until(lambda: settled(made.cluster))

    run(work)


def dies_on_second(dead: list[bytes]) -> Handler:
    """Serves one request per connection, and closes when the second one comes; notes what it did not serve."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(OK)
        dead.append(await read_head(reader))

    return handle


def heads(path: str, method: str = "GET", rest: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: a\r\n{rest}\r\n".encode()


def test_a_stale_connection_is_no_503_where_the_request_can_be_repeated() -> None:
    async def work() -> None:
        dead: list[bytes] = []
        async with upstream(dies_on_second(dead)) as server, proxy(cluster("c", server.address)) as made:
            reader, writer = await made.connect()
            for path in ("/1", "/2"):
                writer.write(heads(path))
                assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
                await reader.readexactly(2)
            assert [head.split(b" ")[1] for head in dead] == [b"/2"]
            assert server.accepted == 2
            assert log(made) == (200, (), "via_upstream")
            stats = made.cluster.stats
            assert (stats.upstream_rq_total, stats.upstream_rq_active) == (2, 0)
            assert counted(made)["upstream_rq_completed"] == 2
            writer.close()
            await ends_clean(made)

    run(work)


def test_a_body_is_repeated_too() -> None:
    async def work() -> None:
        bodies: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while b"content-length: 4" in (head := await read_head(reader)):
                body = await reader.readexactly(4)
                bodies.append(body)
                if len(bodies) == 2:
                    return
                writer.write(OK)
            assert head == b""

        async with upstream(handle) as server, proxy(cluster("c", server.address)) as made:
            reader, writer = await made.connect()
            for body in (b"one.", b"two."):
                writer.write(heads("/", "PUT", "content-length: 4\r\n") + body)
                assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
                await reader.readexactly(2)
            assert bodies == [b"one.", b"two.", b"two."]
            writer.close()
            await ends_clean(made)

    run(work)


def test_what_is_not_idempotent_is_sent_once() -> None:
    async def work() -> None:
        dead: list[bytes] = []
        async with upstream(dies_on_second(dead)) as server, proxy(cluster("c", server.address)) as made:
            reader, writer = await made.connect()
            writer.write(heads("/1"))
            await read_head(reader)
            await reader.readexactly(2)
            writer.write(heads("/2", "POST", "content-length: 0\r\n"))
            assert (await read_head(reader)).startswith(b"HTTP/1.1 503 ")
            assert log(made) == (503, ("UC",), "upstream_reset_before_response_started{connection_termination}")
            assert server.accepted == 1
            writer.close()
            await ends_clean(made)

    run(work)


def test_a_try_is_repeated_once() -> None:
    async def work() -> None:
        answered = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal answered
            if await read_head(reader) and not answered:
                answered += 1
                writer.write(OK)
                await read_head(reader)

        async with upstream(handle) as server, proxy(cluster("c", server.address)) as made:
            await made.ask(GET)
            assert (await made.ask(GET)).startswith(b"HTTP/1.1 503 ")
            assert server.accepted == 2
            await ends_clean(made)

    run(work)


def test_an_early_answer_reaches_the_client_and_the_connection_ends() -> None:
    async def work() -> None:
        early = b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\n\r\n"

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(early)
            await reader.read()

        async with upstream(handle) as server, proxy(cluster("c", server.address)) as made:
            reader, writer = await made.connect()
            writer.write(heads("/", "POST", "content-length: 100\r\n") + b"some")
            assert (await read_head(reader)).startswith(b"HTTP/1.1 413 ")
            await until(lambda: settled(made.cluster))
            assert made.cluster.stats.upstream_cx_destroy_local == 1
            writer.close()

    run(work)


def test_a_body_that_comes_before_the_connection_is_held() -> None:
    async def work() -> None:
        received = b""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal received
            await read_head(reader)
            received = await reader.readexactly(300_000)
            writer.write(OK)

        async with upstream(handle) as server, proxy(cluster("c", server.address)) as made:
            body = "x" * 300_000
            answer = await made.ask(f"POST / HTTP/1.1\nhost: a\ncontent-length: 300000\n\n{body}")
            assert answer.endswith(b"ok")
            assert received == body.encode()
            await ends_clean(made)

    run(work)


def test_trailers_that_come_before_the_connection_are_held() -> None:
    async def work() -> None:
        bodies: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            bodies.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)

        http1 = {"http_protocol_options": {"enable_trailers": True}}
        async with upstream(handle) as server, proxy(cluster("c", server.address, **http1), manager=http1) as made:
            reader, writer = await made.connect()
            writer.write(heads("/", "POST", "transfer-encoding: chunked\r\n") + b"0\r\nt: 1\r\n\r\n")
            assert (await read_head(reader)).startswith(b"HTTP/1.1 200 ")
            assert bodies == [b"0\r\nt: 1\r\n\r\n"]
            writer.close()
            await ends_clean(made)

    run(work)


def test_a_slow_client_pauses_the_upstream_and_gets_everything() -> None:
    async def work() -> None:
        size = 30_000_000

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            for _ in range(size // 100_000):
                writer.write(b"y" * 100_000)
                await writer.drain()
            await reader.read()

        async with upstream(handle) as server, proxy(cluster("c", server.address)) as made:
            reader, writer = await made.connect()
            writer.write(heads("/"))
            await until(lambda: made.cluster.stats.upstream_flow_control_paused_reading_total > 0)
            await read_head(reader)
            got = 0
            while got < size:
                got += len(await reader.read(1 << 20))
            assert got == size
            await until(lambda: made.cluster.stats.upstream_flow_control_resumed_reading_total > 0)
            writer.close()
            await ends_clean(made)

    run(work)


def test_grpc_success_is_told_by_the_status() -> None:
    async def work() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for status in (b"0", b"14", b"5"):
                await read_head(reader)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ngrpc-status: " + status + b"\r\n\r\n")
            await reader.read()

        async with upstream(handle) as server, proxy(cluster("c", server.address)) as made:
            for _ in range(3):
                await made.ask("POST / HTTP/1.1\nhost: a\ncontent-type: application/grpc\ncontent-length: 0\n\n")
            endpoint = made.cluster.endpoints[0].stats
            assert (endpoint.rq_success, endpoint.rq_error) == (2, 1)
            await ends_clean(made)

    run(work)


def test_what_is_counted_beside_the_cluster() -> None:
    async def work() -> None:
        canary = b"HTTP/1.1 200 OK\r\nx-envoy-upstream-canary: true\r\ncontent-length: 0\r\n\r\n"
        async with upstream(answering(canary)) as server, proxy(cluster("c", server.address), manager=INSIDE) as made:
            made.cluster.local_zone = "here"
            made.cluster.endpoints[0].locality = ("", "there", "")
            await made.ask("GET / HTTP/1.1\nhost: a\nx-envoy-upstream-alt-stat-name: other\n\n")
            shown = counted(made)
            assert shown["canary.upstream_rq_200"] == 1
            assert shown["zone.here.there.upstream_rq_2xx"] == 1
            assert shown["internal.upstream_rq_200"] == 1
            assert shown["other.internal.upstream_rq_completed"] == shown["other.upstream_rq_200"] == 1

    run(work)


def test_dynamic_stats_may_be_off() -> None:
    async def work() -> None:
        async with upstream() as server, proxy(cluster("c", server.address), router={"dynamic_stats": False}) as made:
            await made.ask(GET)
            assert not made.cluster.stats.responses
            assert made.cluster.stats.upstream_rq_total == 1

    run(work)


INSIDE = {
    "use_remote_address": True,
    "internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]},
}


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("x-envoy-max-retries", "3", True),
        ("x-envoy-max-retries", "-1", False),
        ("x-envoy-max-retries", "³", False),
        ("x-envoy-retry-on", "5xx, reset", True),
        ("x-envoy-retry-on", "5xx,bogus", False),
        ("x-envoy-retry-grpc-on", "cancelled", True),
        ("x-envoy-retry-grpc-on", "5xx", False),
    ],
)
def test_headers_that_make_no_sense_may_be_refused(name: str, value: str, good: bool) -> None:
    async def work() -> None:
        options = {"strict_check_headers": [name]}
        async with upstream() as server:
            async with proxy(cluster("c", server.address), manager=INSIDE, router=options) as made:
                answer = await made.ask(f"GET / HTTP/1.1\nhost: a\n{name}: {value}\n\n")
                assert answer.startswith(b"HTTP/1.1 200 " if good else b"HTTP/1.1 400 ")
                if not good:
                    assert f"invalid header '{name}' with value '{value}'".encode("latin-1") in answer
                    assert log(made) == (400, ("IH",), f"request_headers_failed_strict_check{{{name}}}")
                    assert not made.cluster.stats.responses

    run(work)


def test_suppressed_headers() -> None:
    async def work() -> None:
        options = {"suppress_envoy_headers": True}
        async with upstream() as server, proxy(cluster("c", server.address), router=options) as made:
            assert b"x-envoy" not in await made.ask(GET)

    run(work)


def test_interim_answers_go_on_only_when_asked_for() -> None:
    async def work(forwarded: bool) -> None:
        answer = b"HTTP/1.1 100 Continue\r\n\r\n" + OK
        options = {"proxy_100_continue": forwarded}
        async with upstream(answering(answer)) as server, proxy(cluster("c", server.address), manager=options) as made:
            got = await made.ask(GET)
            assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK" if forwarded else b"HTTP/1.1 200 OK")

    for forwarded in (True, False):
        run(lambda forwarded=forwarded: work(forwarded))  # type: ignore[misc]


UPGRADE = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"


def test_nothing_goes_to_an_upstream_before_it_accepts_the_upgrade() -> None:
    async def work() -> None:
        early: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_head(reader)
            try:
                early.append(await asyncio.wait_for(reader.read(10), 0.05))
            except TimeoutError:
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
                writer.write(await reader.readexactly(5))

        options = {"upgrade_configs": [{"upgrade_type": "websocket"}]}
        async with upstream(handle) as server, proxy(cluster("c", server.address), manager=options) as made:
            reader, writer = await made.connect()
            writer.write(UPGRADE + b"hello")
            assert (await read_head(reader)).startswith(b"HTTP/1.1 101 ")
            assert await reader.read() == b"hello"
            assert early == []
            writer.close()
            await ends_clean(made)

    run(work)


CONNECT = b"CONNECT t.test:443 HTTP/1.1\r\nhost: t.test:443\r\n\r\n"


def terminated(**more: Any) -> dict[str, Any]:
    return {"upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": more}]}


def test_a_connect_that_ends_here() -> None:
    async def work() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1000):
                writer.write(data)

        options = {"upgrade_configs": [{"upgrade_type": "CONNECT"}]}
        async with upstream(echo) as server:
            async with proxy(cluster("c", server.address), route=terminated(), manager=options) as made:
                reader, writer = await made.connect()
                writer.write(CONNECT)
                assert (await read_head(reader)).startswith(b"HTTP/1.1 200 OK\r\n")
                writer.write(b"through")
                assert await reader.readexactly(7) == b"through"
                writer.write_eof()
                assert await reader.read() == b""
                writer.close()
                await until(lambda: settled(made.cluster))
                assert made.cluster.stats.upstream_rq_total == 1

    run(work)


def test_the_peer_of_a_tunnel_may_be_told_who_the_client_is() -> None:
    async def work() -> None:
        first: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            first.append(await reader.readline())

        options = {"upgrade_configs": [{"upgrade_type": "CONNECT"}]}
        route = terminated(proxy_protocol_config={"version": "V1"})
        async with upstream(handle) as server:
            async with proxy(cluster("c", server.address), route=route, manager=options) as made:
                reader, writer = await made.connect()
                writer.write(CONNECT)
                await reader.read()
                assert first[0].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
                writer.close()
                await until(lambda: settled(made.cluster))

    run(work)


def test_a_tunnel_that_cannot_be_had() -> None:
    async def work() -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            options = {"upgrade_configs": [{"upgrade_type": "CONNECT"}]}
            async with proxy(cluster("c", closed.getsockname()), route=terminated(), manager=options) as made:
                reader, writer = await made.connect()
                writer.write(CONNECT)
                assert (await read_head(reader)).startswith(b"HTTP/1.1 503 ")
                assert log(made)[1] == ("UF",)
                writer.close()
                await until(lambda: settled(made.cluster))

    run(work)


def test_many_exchanges_leave_nothing_behind() -> None:
    async def work() -> None:
        bad = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
        handlers = [serve_ok, bad, answering(b""), answering(b"x" * 100)]
        turn = 0

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal turn
            turn += 1
            await handlers[turn % len(handlers)](reader, writer)

        async with upstream(handle) as server, proxy(cluster("c", server.address)) as made:
            for _ in range(40):
                await asyncio.gather(*[made.ask(GET) for _ in range(5)])
            await until(lambda: len(made.streams) == 200)
            await ends_clean(made)

    run(work)
