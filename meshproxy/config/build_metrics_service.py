"""envoy.config.metrics.v3.MetricsServiceConfig."""

from meshproxy.config.build_grpc_service import build_grpc_service
from meshproxy.config.context import Context
from meshproxy.config.metrics_sink import Emit, MetricsSink
from meshproxy.config.node_message import node_message
from meshproxy.config.types import message_class
from meshproxy.config.view import View
from meshproxy.upstream.message_stream import MessageStream

_PATH = "/envoy.service.metrics.v3.MetricsService/StreamMetrics"


def build_metrics_service(view: View, ctx: Context) -> MetricsSink:
    if view.enum("transport_api_version") not in ("AUTO", "V3"):
        view.reject("transport_api_version", "only V3 is spoken")
    with view.at("grpc_service"):
        client = build_grpc_service(view.grpc_service, ctx, check_cluster=True)
    identifier = message_class("envoy.service.metrics.v3.StreamMetricsMessage")()
    identifier.identifier.node.CopyFrom(node_message(ctx.node))
    mode = view.enum("histogram_emit_mode")
    emit = Emit(
        deltas=bool(view.get("report_counters_as_deltas", False)),
        labels=view.emit_tags_as_labels,
        summaries=mode != "HISTOGRAM",
        histograms=mode != "SUMMARY",
        batch=view.batch_size,
    )
    return MetricsSink(MessageStream(client, _PATH, identifier.SerializeToString()), ctx.stats_config, emit)
