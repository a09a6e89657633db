"""Services that the proxy itself calls."""

import asyncio

import pytest

from meshproxy.config.build_grpc_service import build_grpc_service
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse
from meshproxy.config.source import inline
from meshproxy.config.view import View, unread
from tests.upstream.fakes import make_cluster


@pytest.fixture
def ctx() -> Context:
    ctx = Context(asyncio.new_event_loop())
    ctx.clusters.by_name["c"] = make_cluster()
    return ctx


def view_of(text: str) -> View:
    message, problems = parse(inline(text).tree, "envoy.config.core.v3.GrpcService")
    assert not problems
    return View(message)


def test_a_service(ctx: Context) -> None:
    view = view_of(
        "{envoy_grpc: {cluster_name: c, authority: a, max_receive_message_length: 9, skip_envoy_headers: true,"
        " retry_policy: {num_retries: 3, retry_on: 'internal, reset'}}, timeout: 0.5s,"
        " initial_metadata: [{key: X-A, value: 5%%}]}"
    )
    client = build_grpc_service(view, ctx, check_cluster=True)
    assert not [problem for problem in unread(view) if problem.severity == "error"]
    assert (client.cluster_name, client.authority, client.timeout, client.max_message) == ("c", "a", 0.5, 9)
    assert (client.metadata, client.envoy_headers) == ((("x-a", "5%"),), False)
    assert client.retries is not None
    assert (client.retries.most_tries, client.retries.conditions) == (3, {"internal", "reset"})
    assert (client.retries.base, client.retries.most) == (0.025, 0.25)


def test_the_least(ctx: Context) -> None:
    client = build_grpc_service(view_of("{envoy_grpc: {cluster_name: later}}"), ctx)
    assert (client.cluster_name, client.authority, client.timeout, client.retries) == ("later", "later", 0.0, None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{envoy_grpc: {cluster_name: d}}", "Unknown gRPC client cluster 'd'"),
        ("{google_grpc: {target_uri: a, stat_prefix: b}}", "use envoy_grpc"),
        ("{envoy_grpc: {cluster_name: c}, initial_metadata: [{key: a, value: '%PROTOCOL%'}]}",
         "initial_metadata[0]: operators are not supported"),
        ("{envoy_grpc: {cluster_name: c}, retry_policy: {retry_back_off: {base_interval: 2s, max_interval: 1s}}}",
         "retry_policy.max_interval must greater than or equal the base_interval"),
    ],
)  # fmt: skip
def test_what_is_refused(ctx: Context, text: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_grpc_service(view_of(text), ctx, check_cluster=True)
    assert reason in str(caught.value)
