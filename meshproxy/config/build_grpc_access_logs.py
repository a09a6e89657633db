"""Access loggers that send entries over gRPC (envoy.extensions.access_loggers.grpc.v3)."""

from collections.abc import Callable
from typing import Any

from meshproxy.config.build_custom_tags import build_custom_tags
from meshproxy.config.build_grpc_service import build_grpc_service
from meshproxy.config.context import Context
from meshproxy.config.delimited import delimited
from meshproxy.config.log_entries import common_filler, http_entry, tcp_entry
from meshproxy.config.node_message import node_message
from meshproxy.config.types import message_class
from meshproxy.config.view import View
from meshproxy.observe.access_log import AccessLog, Filter
from meshproxy.upstream.log_stream import LogBatchStats, LogStream

_PATH = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
_INTERVAL = 1.0
_BUFFER = 16 * 1024


def build_http_grpc(view: View, ctx: Context, keep: Filter | None) -> AccessLog:
    """HttpGrpcAccessLogConfig."""
    with view.at("common_config"):
        common = view.common_config
        entry = http_entry(
            common_filler(list(common.filter_state_objects_to_log), build_custom_tags(common.custom_tags, common, ctx)),
            _names(view.additional_request_headers_to_log),
            _names(view.additional_response_headers_to_log),
            _names(view.additional_response_trailers_to_log),
        )
        return AccessLog(entry, _stream(common, ctx, "http_logs").add, keep)


def build_tcp_grpc(view: View, ctx: Context, keep: Filter | None) -> AccessLog:
    """TcpGrpcAccessLogConfig."""
    with view.at("common_config"):
        common = view.common_config
        entry = tcp_entry(
            common_filler(list(common.filter_state_objects_to_log), build_custom_tags(common.custom_tags, common, ctx))
        )
        return AccessLog(entry, _stream(common, ctx, "tcp_logs").add, keep)


def _names(names: Any) -> list[str]:
    return [name.lower() for name in names]


def _stream(common: View, ctx: Context, kind: str) -> LogStream:
    """Loggers of one configuration share a stream."""
    common.ignore("grpc_stream_retry_policy", why="a stream that ended is opened anew with the next batch")
    if common.enum("transport_api_version") not in ("AUTO", "V3"):
        common.reject("transport_api_version", "only V3 is spoken")
    with common.at("grpc_service"):
        client = build_grpc_service(common.grpc_service, ctx)
    interval = common.seconds("buffer_flush_interval", _INTERVAL) or _INTERVAL
    limit = common.get("buffer_size_bytes", _BUFFER)
    key = kind, common.take().SerializeToString(deterministic=True)
    stream = ctx.log_streams.get(key)
    if not isinstance(stream, LogStream):
        stats = LogBatchStats()
        ctx.stats.add("access_logs.grpc_access_log", stats)
        wrap = _wrapper(common.log_name, kind, ctx)
        stream = ctx.log_streams[key] = LogStream(client, _PATH, wrap, interval, limit, stats)
    return stream


def _wrapper(log_name: str, kind: str, ctx: Context) -> Callable[[list[bytes], bool], bytes]:
    """Makes a message of serialised entries, which are not parsed again: only their lengths go in between."""
    message = message_class("envoy.service.accesslog.v3.StreamAccessLogsMessage")
    field = message.DESCRIPTOR.fields_by_name[kind]
    entry = field.message_type.fields_by_name["log_entry"]
    identifier = message()
    identifier.identifier.log_name = log_name
    identifier.identifier.node.CopyFrom(node_message(ctx.node))
    first_bytes = identifier.SerializeToString()

    def wrap(entries: list[bytes], first: bool) -> bytes:
        batch = b"".join([delimited(entry.number, each) for each in entries])
        return (first_bytes if first else b"") + delimited(field.number, batch)

    return wrap
