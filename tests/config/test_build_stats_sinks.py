"""`stats_sinks`: what is taken, and with which words the rest is refused."""

import asyncio

import pytest

from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.build_stats_sinks import build_stats_sinks
from meshproxy.config.context import Context, Node
from meshproxy.config.errors import ConfigError
from meshproxy.observe.sinks.datagrams import Datagrams
from meshproxy.observe.sinks.statsd import StatsdSink
from meshproxy.upstream.statsd_connection import StatsdConnection

STATSD = "envoy.config.metrics.v3.StatsdSink"
ADDRESS = "address: {socket_address: {protocol: UDP, address: 127.0.0.1, port_value: 8125}}"

GRPC = "grpc_service: {envoy_grpc: {cluster_name: statsd}}"


def build(kind: str, fields: str, node: Node | None = None) -> StatsdSink:
    loaded = load_bootstrap(
        None,
        f"""
static_resources: {{clusters: [{{name: statsd, type: STATIC, load_assignment: {{cluster_name: statsd}}}}]}}
stats_sinks: [{{name: sink, typed_config: {{"@type": type.googleapis.com/{kind}, {fields}}}}}]
""",
    )
    ctx = Context(asyncio.new_event_loop(), node=node or Node(id="me", cluster="us"))
    try:
        add_cluster(loaded.view.static_resources.clusters[0], ctx)
        (sink,) = build_stats_sinks(loaded.view, ctx)
    finally:
        ctx.loop.close()
    return sink


@pytest.mark.parametrize(
    "kind", [STATSD, "envoy.config.metrics.v3.DogStatsdSink",
             "envoy.extensions.stat_sinks.graphite_statsd.v3.GraphiteStatsdSink"],
)  # fmt: skip
def test_datagrams(kind: str) -> None:
    assert isinstance(build(kind, ADDRESS).writer, Datagrams)
    assert isinstance(build(kind, "address: {pipe: {path: /run/statsd}}").writer, Datagrams)


def test_tcp() -> None:
    assert isinstance(build(STATSD, "tcp_cluster_name: statsd").writer, StatsdConnection)


@pytest.mark.parametrize(
    "kind, fields, reason",
    [
        (STATSD, "tcp_cluster_name: other", "unknown cluster 'other'"),
        (STATSD, "address: {socket_address: {address: localhost, port_value: 1}}", "malformed IP address: localhost"),
        ("envoy.config.metrics.v3.MetricsServiceConfig", GRPC.replace("statsd", "other"), "client cluster 'other'"),
        ("envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig", GRPC, "OpenTelemetry is not supported"),
        ("envoy.config.metrics.v3.HystrixSink", "num_buckets: 2", "Hystrix event stream is not supported"),
    ],
    ids=["cluster", "address", "metrics_service", "open_telemetry", "hystrix"],
)  # fmt: skip
def test_refused(kind: str, fields: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build(kind, fields)


def test_tcp_needs_a_node() -> None:
    with pytest.raises(ConfigError, match="tcp statsd: node 'id' and 'cluster' are required"):
        build(STATSD, "tcp_cluster_name: statsd", Node())
