"""What a route does to a request that it forwards, and how long it waits for the answer."""

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
import uvloop

from tests.routing.proxy import cluster as cluster_tree
from tests.routing.proxy import proxy
from tests.routing.tables import answer, build, context, forwarded, routes, stream
from tests.upstream.fakes import read_head, until, upstream

GET = "GET / HTTP/1.1\nhost: a\n\n"


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(work(), 30))


def route(fields: str) -> str:
    return f"{{match: {{prefix: /}}, route: {{cluster: origin, {fields}}}}}"


def expected(monkeypatch: pytest.MonkeyPatch, fields: str, *headers: tuple[str, str]) -> str | None:
    """What the upstream is told of the time that is left."""
    asking = forwarded(monkeypatch, routes(route(fields)), stream(headers=list(headers)))
    assert asking.request.get("x-envoy-upstream-rq-timeout-ms") is None
    assert asking.request.get("x-envoy-upstream-rq-per-try-timeout-ms") is None
    return asking.request.get("x-envoy-expected-rq-timeout-ms")


TIMEOUT, PER_TRY = "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms"


@pytest.mark.parametrize(
    ("fields", "headers", "told"),
    [
        ("priority: DEFAULT", [], "15000"),
        ("timeout: 5s", [], "5000"),
        ("timeout: 1.2345s", [], "1234"),
        ("timeout: 1.001s", [], "1001"),
        ("timeout: 0s", [], None),
        ("timeout: 5s, max_stream_duration: {max_stream_duration: 7s}", [], None),
        ("timeout: 5s", [(TIMEOUT, "700")], "700"),
        ("timeout: 5s", [(TIMEOUT, "+7")], "7"),
        ("timeout: 5s", [(TIMEOUT, "abc")], "5000"),
        ("timeout: 5s", [(TIMEOUT, "0")], None),
        ("timeout: 0s", [(TIMEOUT, "700")], "700"),
        ("timeout: 5s", [(PER_TRY, "70")], "70"),
        ("timeout: 5s", [(PER_TRY, "7000")], "5000"),
        ("timeout: 0s", [(PER_TRY, "70")], "70"),
        ("timeout: 5s", [(TIMEOUT, "700"), (PER_TRY, "800")], "700"),
        ("timeout: 5s", [("x-envoy-expected-rq-timeout-ms", "70")], "5000"),
        ("timeout: 5s, max_grpc_timeout: 7s", [("grpc-timeout", "20S"), ("content-type", "application/grpc")], "7000"),
        ("timeout: 5s, max_grpc_timeout: 7s", [("grpc-timeout", "20S")], "5000"),
    ],
)
def test_expected_timeout(
    monkeypatch: pytest.MonkeyPatch, fields: str, headers: list[tuple[str, str]], told: str | None
) -> None:
    assert expected(monkeypatch, fields, *headers) == told


def test_the_timeout_of_the_proxy_before_is_respected_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asking = stream(headers=[("x-envoy-expected-rq-timeout-ms", "70")])
    asking.manager.terminal.respect_expected_rq_timeout = True  # type: ignore[attr-defined]
    forwarded(monkeypatch, routes(route("timeout: 5s")), asking)
    assert asking.asked.timeout == 0.07
    assert asking.request.get("x-envoy-expected-rq-timeout-ms") == "70"


def test_what_callers_ask_of_the_router_ends_here(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("retry-on", "retry-grpc-on", "max-retries", "hedge-on-per-try-timeout", "retriable-header-names",
             "retriable-status-codes", "upstream-alt-stat-name", "upstream-stream-duration-ms",
             "upstream-rq-timeout-alt-response")  # fmt: skip
    asking = stream(headers=[(f"x-envoy-{name}", "1") for name in names])
    forwarded(monkeypatch, routes(route("timeout: 0s")), asking)
    assert asking.request.pairs == [("x-forwarded-proto", "http")]
    assert asking.asked.retry["x-envoy-retry-on"] == "1"
    assert asking.asked.alternative_stat_name == "1"
    assert asking.asked.timeout_as_no_content
    assert asking.asked.stream_duration == 0.001


def test_grpc_callers_are_told_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    table = routes(route("max_grpc_timeout: 7s, grpc_timeout_offset: 0.5s"))
    asking = stream(headers=[("content-type", "application/grpc"), ("grpc-timeout", "2S")])
    assert forwarded(monkeypatch, table, asking).request.get("grpc-timeout") == "1500m"


@pytest.mark.parametrize(
    ("code", "status"), [("SERVICE_UNAVAILABLE", 503), ("NOT_FOUND", 404), ("INTERNAL_SERVER_ERROR", 500)]
)
def test_no_such_cluster(code: str, status: int) -> None:
    line = f"{{match: {{prefix: /}}, route: {{cluster: none, cluster_not_found_response_code: {code}}}}}"
    asking = stream()
    reply = answer(routes(line, validate_clusters="false"), asking)
    assert (reply.status, reply.flag, reply.details) == (status, "NC", "cluster_not_found")
    assert asking.manager.stats.no_cluster == 1
    assert asking.cluster_name is None


@pytest.mark.parametrize("action", ["non_forwarding_action: {}", "filter_action: {}"])
def test_actions_that_lead_nowhere(action: str) -> None:
    reply = answer(routes(f"{{match: {{prefix: /}}, {action}}}"), stream())
    assert (reply.status, reply.details) == (503, "cluster_not_found")


def test_cluster_from_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    table = routes("{match: {prefix: /}, route: {cluster_header: X-Cluster}}")
    for headers in ([], [("x-cluster", "none")], [("x-cluster", "none"), ("x-cluster", "origin")]):
        assert answer(table, stream(headers=headers)).details == "cluster_not_found"
    asking = stream(headers=[("x-cluster", "origin"), ("x-cluster", "none")])
    assert forwarded(monkeypatch, table, asking).cluster_name == "origin"
    by_host = routes("{match: {prefix: /}, route: {cluster_header: ':authority'}}")
    assert forwarded(monkeypatch, by_host, stream(host="origin")).cluster_name == "origin"


def test_attempt_count(monkeypatch: pytest.MonkeyPatch) -> None:
    host = "{name: v, domains: ['*'], include_request_attempt_count: true, routes: [" + route("timeout: 0s") + "]}"
    table = build(f"{{name: r, virtual_hosts: [{host}]}}")
    asking = forwarded(monkeypatch, table, stream(headers=[("x-envoy-attempt-count", "9")]))
    assert asking.request.get_all("x-envoy-attempt-count") == ["1"]


def test_virtual_clusters_and_route_stats(monkeypatch: pytest.MonkeyPatch) -> None:
    gets = "{name: gets, headers: [{name: ':method', string_match: {exact: GET}}]}"
    line = "{match: {prefix: /}, stat_prefix: p, route: {cluster: origin}}"
    ctx = context()
    table = build(
        f"{{name: r, virtual_hosts: [{{name: v, domains: ['*'], virtual_clusters: [{gets}], routes: [{line}]}}]}}", ctx
    )
    groups = dict(ctx.stats.groups())
    get = forwarded(monkeypatch, table, stream())
    assert get.virtual_cluster == "gets"
    assert get.extra_stats == (groups["vhost.v.vcluster.gets"], groups["vhost.v.route.p"])
    other = forwarded(monkeypatch, table, stream(method="PUT"))
    assert other.virtual_cluster is None
    assert other.extra_stats == (groups["vhost.v.vcluster.other"], groups["vhost.v.route.p"])


def test_upgrades_and_priority() -> None:
    table = routes(
        route("priority: HIGH, upgrade_configs: [{upgrade_type: WebSocket}, {upgrade_type: h2c, enabled: false}, "
              "{upgrade_type: CONNECT, connect_config: {allow_post: true, proxy_protocol_config: {version: V2}}}]")
    )  # fmt: skip
    found = table.match(stream())
    assert found is not None
    action: Any = found.action
    assert action.upgrades == {"websocket": True, "h2c": False, "connect": True}
    assert (action.priority, action.connect.allow_post, action.connect.proxy_protocol) == (1, True, 2)


def test_timeouts_for_the_manager() -> None:
    limits = "max_stream_duration: {max_stream_duration: 7s, grpc_timeout_header_max: 0s}"
    table = routes(route(f"idle_timeout: 3s, {limits}"))
    found = table.match(stream())
    assert found is not None and found.max_duration is not None
    assert (found.idle_timeout, found.max_duration.seconds, found.max_duration.grpc_longest) == (3, 7, 0)
    plain = routes(route("timeout: 1s")).match(stream())
    assert plain is not None
    assert (plain.idle_timeout, plain.max_duration) == (None, None)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def half_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_head(reader)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")
    await reader.read()


def test_no_answer_in_time() -> None:
    async def work() -> None:
        tree = {"timeout": "0.05s"}
        async with upstream(silent) as server, proxy(cluster_tree("c", server.address), route=tree) as made:
            answered = await made.ask(GET)
            assert answered.startswith(b"HTTP/1.1 504 ")
            assert answered.endswith(b"\r\n\r\nupstream request timeout")
            log = made.streams[-1]
            assert (log.flags, log.details) == (("UT",), "response_timeout")
            assert made.cluster.stats.upstream_rq_timeout == 1

    run(work)


def test_the_timeout_also_cuts_an_answer_that_has_begun() -> None:
    async def work() -> None:
        tree = {"timeout": "0.05s"}
        async with upstream(half_an_answer) as server, proxy(cluster_tree("c", server.address), route=tree) as made:
            assert (await made.ask(GET)).endswith(b"\r\n\r\nabc")
            log = made.streams[-1]
            assert (log.flags, log.details) == (("UT",), "response_timeout")

    run(work)


def test_the_timeout_begins_with_the_end_of_the_request() -> None:
    async def work() -> None:
        tree = {"timeout": "0.05s"}
        async with upstream(silent) as server, proxy(cluster_tree("c", server.address), route=tree) as made:
            reader, writer = await made.connect()
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nx")
            forward = made.manager.routes.hosts[0].routes[0].action
            await until(lambda: server.accepted == 1)
            assert len(forward.queue) == 0  # type: ignore[attr-defined]
            writer.write(b"y")
            assert (await reader.readline()).startswith(b"HTTP/1.1 504 ")
            writer.close()

    run(work)


def test_an_answer_in_time_leaves_nothing_in_the_queue() -> None:
    async def work() -> None:
        async with upstream() as server, proxy(cluster_tree("c", server.address)) as made:
            assert (await made.ask(GET)).startswith(b"HTTP/1.1 200 ")
            forward = made.manager.routes.hosts[0].routes[0].action
            assert len(forward.queue) == 0  # type: ignore[attr-defined]

    run(work)


def test_the_caller_may_set_the_timeout_and_the_status() -> None:
    async def work() -> None:
        inside = {
            "use_remote_address": True,
            "internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]},
        }
        asked = "x-envoy-upstream-rq-timeout-ms: 50\nx-envoy-upstream-rq-timeout-alt-response: 1\n"
        async with upstream(silent) as server, proxy(cluster_tree("c", server.address), manager=inside) as made:
            assert (await made.ask(f"GET / HTTP/1.1\nhost: a\n{asked}\n")).startswith(b"HTTP/1.1 204 ")
            assert made.streams[-1].flags == ("UT",)

    run(work)


def test_the_caller_may_limit_the_stream() -> None:
    async def work() -> None:
        inside = {
            "use_remote_address": True,
            "internal_address_config": {"cidr_ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]},
        }
        asked = "x-envoy-upstream-stream-duration-ms: 50\n"
        async with upstream(silent) as server, proxy(cluster_tree("c", server.address), manager=inside) as made:
            assert (await made.ask(f"GET / HTTP/1.1\nhost: a\n{asked}\n")).startswith(b"HTTP/1.1 504 ")
            assert made.streams[-1].details == "upstream_max_stream_duration_reached"
            assert made.cluster.stats.upstream_rq_max_duration_reached == 1

    run(work)


def test_auto_host_rewrite_takes_the_endpoints_name(monkeypatch: pytest.MonkeyPatch) -> None:
    table = routes(route("auto_host_rewrite: true, append_x_forwarded_host: true"))
    asking = forwarded(monkeypatch, table, stream(host="h"))
    action = asking.route.action
    assert action.auto_host_rewrite
    named: Any = SimpleNamespace(hostname="endpoint.example")
    action.rewrite_host(asking.manager.terminal, asking, SimpleNamespace(hostname=""))
    assert asking.request.authority == "h"
    action.rewrite_host(asking.manager.terminal, asking, named)
    request = asking.request
    assert (request.authority, request.get("x-forwarded-host"), request.get("x-envoy-original-host")) == (
        "endpoint.example", "h", "h",
    )  # fmt: skip
