"""`stats_sinks` of the bootstrap: statsd and its relatives (envoy.config.metrics.v3)."""

from meshproxy.config.build_addresses import is_ip
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.observe.sinks.datagrams import Datagrams
from meshproxy.observe.sinks.flush import Sink
from meshproxy.observe.sinks.statsd import DOGSTATSD, GRAPHITE, PLAIN, Dialect, StatsdSink, Writer
from meshproxy.upstream.statsd_connection import StatsdConnection

_STATSD = "envoy.config.metrics.v3.StatsdSink"
_DOG = "envoy.config.metrics.v3.DogStatsdSink"
_GRAPHITE = "envoy.extensions.stat_sinks.graphite_statsd.v3.GraphiteStatsdSink"
_METRICS = "envoy.config.metrics.v3.MetricsServiceConfig"
# Known, and refused with the reason.
_REFUSED = {
    "envoy.config.metrics.v3.HystrixSink": "the Hystrix event stream is not supported",
    "envoy.extensions.stat_sinks.open_telemetry.v3.SinkConfig": "OpenTelemetry is not supported yet",
    "envoy.extensions.stat_sinks.wasm.v3.Wasm": "WASM is not supported",
}  # fmt: skip


def build_stats_sinks(view: View, ctx: Context) -> list[Sink]:
    """`view`: the bootstrap. Clusters have to be there already."""
    sinks = []
    for i, each in enumerate(view.stats_sinks):
        with view.at("stats_sinks", i):
            sinks.append(_build_sink(each, ctx))
    return sinks


def _build_sink(view: View, ctx: Context) -> Sink:
    if reason := _REFUSED.get(view.typed_config.type_name):
        view.reject("typed_config", reason)
    config = typed_config(view, _STATSD, _DOG, _GRAPHITE, _METRICS)
    match config.type_name:
        case "envoy.config.metrics.v3.MetricsServiceConfig":
            from meshproxy.config.build_metrics_service import build_metrics_service  # few have one

            return build_metrics_service(config, ctx)
        case "envoy.config.metrics.v3.DogStatsdSink":
            return _sink(config, ctx, _datagrams(config), DOGSTATSD)
        case "envoy.extensions.stat_sinks.graphite_statsd.v3.GraphiteStatsdSink":
            return _sink(config, ctx, _datagrams(config), GRAPHITE)
    if config.which("statsd_specifier") == "tcp_cluster_name":
        return _sink(config, ctx, _connection(config, ctx), PLAIN)
    return _sink(config, ctx, Datagrams(_address(config)), PLAIN)


def _sink(config: View, ctx: Context, writer: Writer, dialect: Dialect) -> StatsdSink:
    stats = ctx.stats_config
    return StatsdSink(writer, dialect, stats.tags, stats.accepts, config.prefix)


def _datagrams(config: View) -> Datagrams:
    return Datagrams(_address(config), config.get("max_bytes_per_datagram", 0))


def _connection(config: View, ctx: Context) -> StatsdConnection:
    if not ctx.node.id or not ctx.node.cluster:
        raise ConfigError(
            "tcp statsd: node 'id' and 'cluster' are required. Set it either in 'node' config or via --service-node and"
            " --service-cluster options."
        )
    cluster = ctx.clusters.by_name.get(config.tcp_cluster_name)
    if cluster is None:
        config.reject("tcp_cluster_name", f"unknown cluster '{config.tcp_cluster_name}'")
    return StatsdConnection(cluster)


def _address(config: View) -> tuple[str, int]:
    """Where datagrams go: (ip, port), or (path, 0) of a unix socket."""
    with config.at("address"):
        address = config.address
        if address.which("address") == "pipe":
            address.pipe.ignore("mode", why="only listeners make the file of a unix socket")
            return address.pipe.path, 0
        if address.which("address") != "socket_address":
            raise ConfigError("statsd takes an IP address or a unix socket")
        where = address.socket_address
        where.ignore("protocol", why="statsd takes datagrams")
        if not is_ip(where.address):
            raise ConfigError(f"malformed IP address: {where.address}")
        return where.address, where.port_value
