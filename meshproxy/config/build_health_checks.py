"""Active health checks of a cluster (envoy.config.core.v3.HealthCheck)."""

import time
from collections.abc import Callable
from typing import Any

from meshproxy.config.build_edits import build_edit, build_header_value
from meshproxy.config.build_matchers import build_string_matcher
from meshproxy.config.build_payload import build_payload, build_payloads
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.structs import struct_dict
from meshproxy.config.view import View
from meshproxy.downstream.connection_record import ConnectionRecord
from meshproxy.http.headers import RequestHeaders
from meshproxy.net.connection import Connection
from meshproxy.observe.json_text import wire_text
from meshproxy.routing.edits import HeaderEdit
from meshproxy.routing.grpc_timeout import write_grpc_timeout
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.health.checker import HealthChecker
from meshproxy.upstream.health.cluster_checks import ClusterChecks
from meshproxy.upstream.health.connections import CheckConnections
from meshproxy.upstream.health.events import HealthEvents, Write
from meshproxy.upstream.health.grpc_probe import GrpcCheck, GrpcProbe, check_request
from meshproxy.upstream.health.http_probe import HttpCheck, HttpProbe, Range
from meshproxy.upstream.health.session import Probe, Session
from meshproxy.upstream.health.settings import HealthCheckSettings, HealthCheckStats
from meshproxy.upstream.health.tcp_probe import TcpCheck, TcpProbe
from meshproxy.upstream.pool_settings import BY_ALPN, HTTP1, HTTP2

_FILE_SINK = "envoy.extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink"
_BODILESS = ("GET", "HEAD", "DELETE", "TRACE")
_NO_TLS = "the cluster has no TLS"

MakeProbe = Callable[[Session, HealthCheckStats], Probe]


def build_health_checks(cluster: Cluster, view: View, ctx: Context) -> ClusterChecks | None:
    """`view` is the cluster's; None where it has no health checks."""
    if not view.health_checks:
        return None
    checks = ClusterChecks(cluster, ctx.host_states, view.common_lb_config.ignore_new_hosts_until_first_hc)
    names: set[str] = set()
    for i, each in enumerate(view.health_checks):
        with view.at("health_checks", i):
            # Read also where there is but one.
            name = each.name
            if len(view.health_checks) > 1:
                _check_name(i, name, names)
            checker = _build(checks, each, ctx)
            checks.checkers.append(checker)
            where = f"cluster.{cluster.alt_stat_name}.health_check"
            ctx.stats.add(f"{where}.name.{name}" if name else where, checker.stats)
    if len(checks.checkers) > 1:
        ctx.stats.add(f"cluster.{cluster.alt_stat_name}.health_check", checks.stats)
    return checks


def _check_name(index: int, name: str, names: set[str]) -> None:
    if not name:
        words = "all health checks must have a name when multiple health checks are configured"
        raise ConfigError(f"health check at index {index} is missing a name; {words}")
    if name in names:
        words = "all health check names must be unique within a cluster"
        raise ConfigError(f"duplicate health check name '{name}' at index {index}; {words}")
    names.add(name)


def _build(checks: ClusterChecks, view: View, ctx: Context) -> HealthChecker:
    cluster, stats = checks.cluster, HealthCheckStats()
    kind, make_probe = _probe(cluster, view, ctx)
    events = HealthEvents(cluster.name, kind, _sinks(view, ctx))
    view.ignore("alt_port", "event_service", why="Envoy does not read it either")
    return HealthChecker(
        checks, _settings(view), lambda session: make_probe(session, stats), stats, events, ctx.runtime
    )  # fmt: skip


def _settings(view: View) -> HealthCheckSettings:
    interval = view.seconds("interval", 0.0) or 0.0
    unhealthy = view.seconds("unhealthy_interval", interval) or 0.0
    no_traffic = view.seconds("no_traffic_interval", 60.0) or 0.0
    return HealthCheckSettings(
        timeout=view.seconds("timeout", 0.0) or 0.0,
        interval=interval,
        unhealthy_threshold=view.get("unhealthy_threshold", 1),
        healthy_threshold=view.get("healthy_threshold", 1),
        unhealthy_interval=unhealthy,
        unhealthy_edge_interval=view.seconds("unhealthy_edge_interval", unhealthy) or 0.0,
        healthy_edge_interval=view.seconds("healthy_edge_interval", interval) or 0.0,
        no_traffic_interval=no_traffic,
        no_traffic_healthy_interval=view.seconds("no_traffic_healthy_interval", no_traffic) or 0.0,
        initial_jitter=view.seconds("initial_jitter", 0.0) or 0.0,
        interval_jitter=view.seconds("interval_jitter", 0.0) or 0.0,
        interval_jitter_percent=view.interval_jitter_percent,
        log_failures=view.always_log_health_check_failures,
        log_successes=view.always_log_health_check_success,
    )


def _sinks(view: View, ctx: Context) -> tuple[Write, ...]:
    writes: list[Write] = []
    for i, logger in enumerate(view.event_logger):
        with view.at("event_logger", i):
            writes.append(ctx.log_files.open(typed_config(logger, _FILE_SINK).event_log_path).write)
    if view.event_log_path:
        with view.at("event_log_path"):
            writes.append(ctx.log_files.open(view.event_log_path).write)
    return tuple(writes)


def _probe(cluster: Cluster, view: View, ctx: Context) -> tuple[str, MakeProbe]:
    """What the events call it, and what makes one for an endpoint."""
    kind = view.which("health_checker") or ""
    if kind == "custom_health_check":
        custom = view.custom_health_check
        type_name = custom.typed_config.type_name if custom.has("typed_config") else ""
        words = f"Didn't find a registered implementation for '{custom.name}' with type URL: '{type_name}'"
        view.reject("custom_health_check", words)
    if kind == "grpc_health_check" and cluster.pool_settings.protocol == HTTP1:
        view.reject("grpc_health_check", f"{cluster.name} cluster must support HTTP/2 for gRPC healthchecking")
    reuse = view.get("reuse_connection", True)
    with view.at(kind):
        if kind == "http_health_check":
            check = _http_check(cluster, view.http_health_check, reuse, ctx)
            protocol = HTTP2 if view.http_health_check.enum("codec_client_type") == "HTTP2" else HTTP1
            protocol = BY_ALPN if view.http_health_check.use_alpn_protocol else protocol
            connections = _connections(cluster, protocol, view)
            return "HTTP", lambda session, stats: HttpProbe(session, connections, check, stats)
        if kind == "grpc_health_check":
            call = _grpc_check(cluster, view.grpc_health_check, view.seconds("timeout", 0.0) or 0.0, reuse)
            over_http2 = _connections(cluster, HTTP2, view)
            return "GRPC", lambda session, stats: GrpcProbe(session, over_http2, call)
        tcp = _tcp_check(view.tcp_health_check, reuse)
        plain = _connections(cluster, HTTP1, view)
        return "TCP", lambda session, stats: TcpProbe(session, plain, tcp)


def _connections(cluster: Cluster, protocol: str, view: View) -> CheckConnections:
    made = CheckConnections(cluster, protocol)
    if cluster.transports is None:
        view.ignore("tls_options", "transport_socket_match_criteria", why=_NO_TLS)
    else:
        made.alpn = tuple(view.tls_options.alpn_protocols)
        if view.transport_socket_match_criteria:
            made.criteria = struct_dict(view.transport_socket_match_criteria.take())
    return made


def _http_check(cluster: Cluster, view: View, reuse: bool, ctx: Context) -> HttpCheck:
    if view.enum("codec_client_type") == "HTTP3":
        view.reject("codec_client_type", "HTTP3 is not supported: HTTP1 and HTTP2 are")
    if view.use_alpn_protocol and (cluster.transports is None or cluster.transports.default.tls is None):
        words = f"use_alpn_protocol configured for the health check of cluster {cluster.name}"
        view.reject("use_alpn_protocol", f"{words} which has a non-ALPN transport socket")
    method = view.enum("method")
    check = HttpCheck(view.path, view.host or cluster.name, "GET" if method == "METHOD_UNSPECIFIED" else method)
    if view.has("send"):
        if check.method in _BODILESS:
            words = f"HTTP health check cannot specify a request payload with method '{check.method}'. "
            view.reject("send", words + "Only methods that support a request body (POST, PUT, PATCH, OPTIONS) can be "
                        "used with payload.")  # fmt: skip
        with view.at("send"):
            check.send = build_payload(view.send)
    check.receive = build_payloads(view, "receive")
    check.buffer_size = view.get("response_buffer_size", check.buffer_size)
    total = sum(map(len, check.receive))
    if 0 < check.buffer_size < total:
        over = f"is over than http health response buffer size '{check.buffer_size}'"
        view.reject("receive", f"The expected response length '{total}' {over}")
    check.expected = _ranges(view, "expected") or check.expected
    check.retriable = _ranges(view, "retriable")
    if view.has("service_name_matcher"):
        with view.at("service_name_matcher"):
            check.service = build_string_matcher(view.service_name_matcher, ctx)
    check.edit = _edit(cluster, build_edit(view, "request"))
    check.reuse, check.runtime = reuse, ctx.runtime
    return check


def _ranges(view: View, kind: str) -> tuple[Range, ...]:
    """`<kind>_statuses`."""
    ranges = []
    field = f"{kind}_statuses"
    for i, each in enumerate(getattr(view, field)):
        start, end = each.start, each.end
        complaint = ""
        if start >= end:
            complaint = f"expecting start < end, but found start={start} and end={end}"
        elif start < 100:
            complaint = f"expecting start >= 100, but found start={start}"
        elif end > 600:
            complaint = f"expecting end <= 600, but found end={end}"
        if complaint:
            with view.at(field, i):
                raise ConfigError(f"Invalid http {kind} status range: {complaint}")
        ranges.append((start, end))
    return tuple(ranges)


def _grpc_check(cluster: Cluster, view: View, timeout: float, reuse: bool) -> GrpcCheck:
    added = []
    for i, option in enumerate(view.initial_metadata):
        with view.at("initial_metadata", i):
            added.append(build_header_value(option))
    metadata = _edit(cluster, HeaderEdit(added))

    def edit(endpoint: Endpoint, request: RequestHeaders) -> None:
        if metadata is not None:
            metadata(endpoint, request)
        write_grpc_timeout(request, timeout)

    return GrpcCheck(check_request(view.service_name), wire_text(view.authority) or cluster.name, edit, reuse)


def _edit(cluster: Cluster, edit: HeaderEdit) -> Callable[[Endpoint, RequestHeaders], None] | None:
    if not edit:
        return None

    def apply(endpoint: Endpoint, request: RequestHeaders) -> None:
        stream: Any = _CheckRequest(cluster, endpoint, request)
        edit.apply(stream, request)

    return apply


class _CheckRequest(ConnectionRecord):
    """What the formats of headers may ask: as in Envoy, a check comes from a client at 127.0.0.1."""

    __slots__ = ("request",)

    def __init__(self, cluster: Cluster, endpoint: Endpoint, request: RequestHeaders) -> None:
        nobody: Any = None
        super().__init__(Connection(nobody, ("127.0.0.1", 0), ("127.0.0.1", 0), time.monotonic()))
        self.cluster = cluster
        self.cluster_name = cluster.name
        self.endpoint = endpoint
        self.request = request  # type: ignore[assignment]


def _tcp_check(view: View, reuse: bool) -> TcpCheck:
    check = TcpCheck(reuse=reuse)
    # As in Envoy, only the text is sent.
    if view.has("send") and view.send.which("payload") == "text":
        with view.at("send"):
            check.send = build_payload(view.send)
    elif view.has("send"):
        view.ignore("send", why="as in Envoy, only text is sent")
    check.receive = build_payloads(view, "receive")
    if view.has("proxy_protocol_config"):
        protocol = view.proxy_protocol_config
        check.proxy_protocol = 1 + protocol.version
        protocol.ignore("pass_through_tlvs", "added_tlvs", why="a check has no client whose TLVs could be told")
    return check
