"""What is kept of failures: real proxies fail, and the newest are remembered once each."""

import asyncio
import socket
from typing import Any

import pytest

from meshproxy.observe import failures
from meshproxy.observe.explain import explain
from meshproxy.observe.failures import KEPT, QUIET, Failure, Failures, merge, shown
from tests.e2e.world import proxy, upstream
from tests.observe.exchanges import exchange, forwarded
from tests.upstream.fakes import make_cluster

CONFIG = """
static_resources:
  listeners:
  - name: edge
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filter_chain_match: {{source_prefix_ranges: [{{address_prefix: 127.0.0.1, prefix_len: 32}}]}}
      filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          stream_idle_timeout: 0.2s
          route_config:
            validate_clusters: false
            virtual_hosts:
            - name: shop
              domains: [shop]
              routes:
              - {{match: {{path: /missing-cluster}}, route: {{cluster: gone}}}}
              - {{match: {{path: /no-endpoint}}, route: {{cluster: empty}}}}
              - {{match: {{path: /full}}, route: {{cluster: full}}}}
              - {{match: {{path: /down}}, route: {{cluster: down}}, name: to-down}}
              - {{match: {{path: /slow}}, route: {{cluster: origin, timeout: 0.1s}}}}
              - {{match: {{path: /503}}, direct_response: {{status: 503}}}}
              - {{match: {{prefix: /up}}, route: {{cluster: origin}}}}
          http_filters:
          - name: router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  - name: plain
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: tcp
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: plain
          max_connect_attempts: 2
          cluster: down
  clusters:
  - {{name: empty, type: STATIC, load_assignment: {{cluster_name: empty}}}}
  - name: down
    type: STATIC
    load_assignment:
      cluster_name: down
      endpoints:
      - lb_endpoints:
        - metadata: {{filter_metadata: {{envoy.lb: {{version: v2}}}}}}
          endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {down}}}}}}}
  - name: full
    type: STATIC
    circuit_breakers: {{thresholds: [{{max_requests: 0}}]}}
    load_assignment: &origin
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}
  - name: origin
    type: STATIC
    load_assignment: *origin
"""

ANSWERS = {
    "/up/500": b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
    "/up/ok": b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    "/up/404": b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    "/up/closes": b"",
    "/up/cut": b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
    "/up/nonsense": b"nonsense\r\n\r\n",
}


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers one request as its path says; what has no answer hangs."""
    head = await reader.readuntil(b"\r\n\r\n")
    answer = ANSWERS.get(head.split()[1].decode())
    if answer is None:
        await reader.read()
        return
    writer.write(answer)
    await writer.drain()


async def ask(port: int, path: str, host: str = "shop", rest: str = "\r\n") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{rest}".encode())
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def failed(*paths: str, listener: int = 0, rest: str = "\r\n") -> tuple[list[Failure], int, int]:
    """What is kept after these paths were asked for; the ports of the upstreams that are down and up."""

    async def run() -> tuple[list[Failure], int, int]:
        down = free_port()
        async with upstream(talk) as port, proxy(CONFIG.format(port=port, down=down)) as (server, _):
            entry = server.listeners[listener].sockets[0].getsockname()[1]
            for path in paths:
                await asyncio.wait_for(ask(entry, path, rest=rest), 20)
            return server.failures(), down, port

    return asyncio.run(run())


@pytest.mark.parametrize(
    "path, flags, status, sentence",
    [
        ("/down?token=secret", "UF", 503, "could not connect to down v2 at 127.0.0.1:{down}: connection refused"),
        ("/missing-cluster", "NC", 503, "the route leads to cluster gone, which does not exist"),
        ("/no-endpoint", "UH", 503, "cluster empty has no endpoints at all"),
        ("/full", "UO", 503, "cluster full is at its limit: max_requests is 0"),
        ("/slow", "UT", 504, "origin at 127.0.0.1:{port} did not answer within 100 ms"),
        ("/up/closes", "UC", 503, "origin at 127.0.0.1:{port} closed the connection before it answered"),
        ("/up/cut", "UPE", 200, "origin at 127.0.0.1:{port} broke off its answer, or spoiled it"),
        ("/up/nonsense", "UPE", 502, "origin at 127.0.0.1:{port} does not speak proper HTTP"),
        ("/up/500", "", 500, "origin at 127.0.0.1:{port} itself answered 500"),
        ("/503", "", 503, "the route answers 503, as it is configured to"),
        ("/nowhere", "NR", 404, "nothing is configured for GET /nowhere: no route of the virtual host shop matches"),
    ],
)
def test_what_failed_and_why(path: str, flags: str, status: int, sentence: str) -> None:
    (failure,), down, port = failed(path)
    assert (",".join(failure.flags), failure.status, failure.listener) == (flags, status, "edge")
    assert explain(failure) == sentence.format(down=down, port=port)
    assert (failure.method, failure.host, failure.path) == ("GET", "shop", path.partition("?")[0])
    assert failure.client == "127.0.0.1"
    assert failure.last >= failure.first > 0
    assert "secret" not in str(failure.tree())


def test_a_failure_is_one_for_grpc_too() -> None:
    """Such a caller is told by a header, and the answer is 200."""
    (failure,), down, _ = failed("/down", rest="content-type: application/grpc\r\n\r\n")
    assert (failure.flags, failure.status) == (("UF",), 200)
    assert explain(failure) == f"could not connect to down v2 at 127.0.0.1:{down}: connection refused"


def test_idle_streams() -> None:
    (failure,), _, port = failed("/up/hangs")
    assert failure.flags == ("SI",)
    assert explain(failure).startswith(f"nothing moved between the client 127.0.0.1 and origin at 127.0.0.1:{port} ")


def test_what_goes_well_is_not_kept() -> None:
    assert failed("/up/ok", "/up/404")[0] == []


def test_the_same_again_is_counted() -> None:
    rows, _, _ = failed("/down", "/nowhere", "/down", "/down")
    assert [(row.flags, row.count) for row in rows] == [(("NR",), 1), (("UF",), 3)]
    assert rows[1].route == "shop/to-down"


def test_tcp() -> None:
    (failure,), down, _ = failed("/", listener=1)
    assert (failure.flags, failure.listener, failure.status) == (("UF", "URX"), "plain", 0)
    assert explain(failure) == f"could not connect to down v2 at 127.0.0.1:{down}: connection refused, after 2 attempts"


def test_a_client_that_goes() -> None:
    async def run() -> list[Failure]:
        async with upstream(talk) as port, proxy(CONFIG.format(port=port, down=1)) as (server, entry):
            _, writer = await asyncio.open_connection("127.0.0.1", entry)
            writer.write(b"GET /up/hangs HTTP/1.1\r\nhost: shop\r\n\r\n")
            cluster = server.ctx.clusters.by_name["origin"]
            while not cluster.stats.upstream_rq_total:
                await asyncio.sleep(0.001)
            writer.close()
            while not server.failures():
                await asyncio.sleep(0.001)
            return server.failures()

    (failure,) = asyncio.run(asyncio.wait_for(run(), 20))
    assert failure.flags == ("DC",)
    assert explain(failure).startswith("the client 127.0.0.1 went away after ")


def test_a_connection_that_no_chain_wants() -> None:
    async def run() -> list[Failure]:
        async with proxy(CONFIG.format(port=1, down=1)) as (server, entry):
            reader, writer = await asyncio.open_connection("127.0.0.1", entry, local_addr=("127.0.0.2", 0))
            await reader.read()
            writer.close()
            return server.failures()

    (failure,) = asyncio.run(asyncio.wait_for(run(), 20))
    assert explain(failure) == "nothing is configured for 127.0.0.2: no filter chain matches the connection"


def stream(status: int = 503, path: str = "/a", **changed: Any) -> Any:
    made: Any = exchange(path=path, status=status)
    made.connection.listener.name = "edge"
    for name, value in changed.items():
        setattr(made, name, value)
    return made


def test_names_that_could_not_be_looked_up_are_told() -> None:
    cluster = make_cluster()
    cluster.stats.update_failure += 1
    kept = Failures()
    kept.add(stream(flags=("UH",), cluster=cluster))
    assert kept.newest()[0].facts == {"healthy": 0, "total": 0, "lookups_failed": 1}


def test_only_so_many_are_kept() -> None:
    kept = Failures(kept=3)
    for number in range(5):
        kept.add(stream(details=str(number)))
    kept.add(stream(details="3"))
    assert [row.details for row in kept.newest()] == ["2", "4", "3"]


def test_after_a_quiet_time_it_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(failures.time, "time", lambda: now)
    kept = Failures()
    kept.add(stream(path="/first"))
    now += 1
    kept.add(stream(path="/second"))
    (row,) = kept.newest()
    assert (row.count, row.first, row.last, row.path) == (2, 1000.0, 1001.0, "/second")
    now += QUIET + 1
    kept.add(stream())
    (row,) = kept.newest()
    assert (row.count, row.first) == (1, now)


def test_hostile_texts_are_made_harmless() -> None:
    kept = Failures()
    made = stream(path="/\x1b[2J\xe2\x80\xae" + "a" * 1000 + "?token=secret")
    made.request.authority = "user:password@shop"
    kept.add(made)
    (row,) = kept.newest()
    assert row.path.startswith("/\ufffd[2J\ufffdaaa")
    assert len(row.path) <= 200
    assert row.host == "shop"
    assert shown("gr\xc3\xbc\xc3\x9f") == "grüß"


def test_a_recorder_that_fails_lets_the_exchange_end(caplog: pytest.LogCaptureFixture) -> None:
    kept = Failures()
    kept.add(object())
    assert kept.newest() == []
    assert "a failure could not be recorded" in caplog.text


def test_istio_tells_versions_too() -> None:
    made: Any = forwarded()
    made.connection.listener.name = "edge"
    made.endpoint.metadata = {"istio": {"workload": "reviews-v3;default;reviews;v3;Kubernetes"}}
    kept = Failures()
    kept.add(made)
    assert kept.newest()[0].version == "v3"


def row(details: str, first: float, last: float, count: int = 1, path: str = "") -> Failure:
    return Failure(("UF",), 503, "in", "c", "e", details, "", count=count, first=first, last=last, path=path)


def test_workers_together() -> None:
    one, two = [row("a", 1, 5, 2, "/old"), row("b", 4, 6)], [row("a", 3, 8, 3, "/new")]
    for _ in range(2):
        # What is merged stays as it was, and can be merged again.
        merged = merge([one, two])
        found = [(each.details, each.count, each.first, each.last) for each in merged]
        assert found == [("b", 1, 4, 6), ("a", 5, 1, 8)]
        assert merged[1].path == "/new"
    many = [row(str(number), number, number) for number in range(KEPT + 5)]
    assert merge([many])[0].details == "5"
