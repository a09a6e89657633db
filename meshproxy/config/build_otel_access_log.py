"""The access logger of OpenTelemetry (envoy.extensions.access_loggers.open_telemetry.v3): log records over gRPC."""

from collections.abc import Callable
from typing import Any

from meshproxy.config.build_custom_tags import build_custom_tags
from meshproxy.config.build_format import extra_operators
from meshproxy.config.build_grpc_service import build_grpc_service
from meshproxy.config.context import Context
from meshproxy.config.delimited import delimited
from meshproxy.config.errors import ConfigError
from meshproxy.config.log_entries import Tag
from meshproxy.config.structs import utf8
from meshproxy.config.types import message_class
from meshproxy.config.view import View
from meshproxy.observe.access_log import AccessLog, Filter
from meshproxy.observe.formatter import compile_format
from meshproxy.observe.operators import Exchange, Operators, find, text_of
from meshproxy.upstream.log_stream import LogBatchStats, LogCalls

_PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_INTERVAL = 1.0
_BUFFER = 16 * 1024
_KINDS = "Only string values, nested key value lists and array values are supported in OpenTelemetry access log format."

# Fills an AnyValue.
Fill = Callable[[Exchange, Any], None]


def build_open_telemetry(view: View, ctx: Context, keep: Filter | None) -> AccessLog:
    """OpenTelemetryAccessLogConfig."""
    for name in ("http_service", "resource_detectors"):
        if getattr(view, name):
            view.reject(name, "not supported")
    extra = extra_operators(view)
    record = message_class("opentelemetry.proto.logs.v1.LogRecord")
    with view.at("body"):
        body = _value(view.body, extra) if view.body else None
    with view.at("attributes"):
        attributes = _pairs(view.attributes, extra)
    tags = [*_states(view, ctx), *build_custom_tags(_common(view, "custom_tags"), view, ctx)]

    def entry(exchange: Exchange) -> bytes:
        made = record(time_unix_nano=int(exchange.start_time * 1e6) * 1000)
        if body is not None:
            body(exchange, made.body)
        for key, fill in attributes:
            fill(exchange, made.attributes.add(key=key).value)
        for key, read in tags:
            if (value := read(exchange)) is not None:
                made.attributes.add(key=key).value.string_value = utf8(value)
        encoded: bytes = made.SerializeToString()
        return encoded

    return AccessLog(entry, _calls(view, ctx).add, keep)


def _common(view: View, name: str) -> Any:
    """A field that stands here, or in the older common_config."""
    with view.at("common_config"):
        older = getattr(view.common_config, name)
    return getattr(view, name) or older


def _states(view: View, ctx: Context) -> list[tuple[str, Tag]]:
    found: list[tuple[str, Tag]] = []
    for name in _common(view, "filter_state_objects_to_log"):
        get = find("FILTER_STATE", name, None, {})
        found.append((name, lambda exchange, get=get: text_of(get(exchange))))  # type: ignore[misc]
    return found


def _value(view: View, extra: Operators) -> Fill:
    kind = view.which("value")
    if kind == "string_value":
        form = compile_format(view.string_value, "-", extra)
        return lambda exchange, value: setattr(value, "string_value", utf8(form(exchange)))
    if kind == "kvlist_value":
        pairs = _pairs(view.kvlist_value, extra)

        def fill_pairs(exchange: Exchange, value: Any) -> None:
            value.kvlist_value.SetInParent()
            for key, fill in pairs:
                fill(exchange, value.kvlist_value.values.add(key=key).value)

        return fill_pairs
    if kind == "array_value":
        items = [_value(each, extra) for each in view.array_value.values]

        def fill_items(exchange: Exchange, value: Any) -> None:
            value.array_value.SetInParent()
            for fill in items:
                fill(exchange, value.array_value.values.add())

        return fill_items
    raise ConfigError(_KINDS)


def _pairs(view: View, extra: Operators) -> list[tuple[str, Fill]]:
    """A KeyValueList."""
    return [(each.key, _value(each.value, extra)) for each in view.values]


def _calls(view: View, ctx: Context) -> LogCalls:
    """Loggers of one configuration send batches together."""
    older = view.common_config
    with view.at("common_config"):
        older.ignore("grpc_stream_retry_policy", why="records are sent in calls, without retries but the service's own")
        if older.enum("transport_api_version") not in ("AUTO", "V3"):
            older.reject("transport_api_version", "only V3 is spoken")
    name = view.log_name or older.log_name
    interval = view.seconds("buffer_flush_interval", older.seconds("buffer_flush_interval", _INTERVAL)) or _INTERVAL
    limit = view.get("buffer_size_bytes", older.get("buffer_size_bytes", _BUFFER))
    if view.grpc_service:
        with view.at("grpc_service"):
            client = build_grpc_service(view.grpc_service, ctx)
    else:
        with view.at("common_config"), older.at("grpc_service"):
            client = build_grpc_service(older.grpc_service, ctx)
    prefix = f"access_logs.open_telemetry_access_log.{f'{view.stat_prefix}.' if view.stat_prefix else ''}"
    wrap = _wrapper(view, name, ctx)
    key = prefix, view.take().SerializeToString(deterministic=True)
    known = ctx.log_streams.get(key)
    if isinstance(known, LogCalls):
        return known
    stats = LogBatchStats()
    ctx.stats.add(prefix.removesuffix("."), stats)
    calls = ctx.log_streams[key] = LogCalls(client, _PATH, wrap, interval, limit, stats)
    return calls


def _wrapper(view: View, log_name: str, ctx: Context) -> Callable[[list[bytes]], bytes]:
    """Makes an ExportLogsServiceRequest of records that are serialised."""
    logs = message_class("opentelemetry.proto.logs.v1.ResourceLogs")
    resource = logs().resource
    if not view.disable_builtin_labels:
        node = ctx.node
        labels = {"log_name": log_name, "zone_name": node.zone, "cluster_name": node.cluster, "node_name": node.id}
        for key, value in labels.items():
            resource.attributes.add(key=key).value.string_value = value
    if view.resource_attributes:
        resource.attributes.extend(_same(each, resource) for each in view.resource_attributes.take().values)
    head = delimited(logs.DESCRIPTOR.fields_by_name["resource"].number, resource.SerializeToString())
    scope = logs.DESCRIPTOR.fields_by_name["scope_logs"]
    record = scope.message_type.fields_by_name["log_records"].number
    request = message_class("opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest").DESCRIPTOR
    field = request.fields_by_name["resource_logs"].number

    def wrap(records: list[bytes]) -> bytes:
        batch = b"".join([delimited(record, each) for each in records])
        return delimited(field, head + delimited(scope.number, batch))

    return wrap


def _same(pair: Any, resource: Any) -> Any:
    """A KeyValue as one of the resource's own class."""
    made = type(resource)().attributes.add()
    made.ParseFromString(pair.SerializeToString())
    return made
