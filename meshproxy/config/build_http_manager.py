"""envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager."""

from dataclasses import replace
from functools import partial

from meshproxy.config.build_access_logs import build_access_logs
from meshproxy.config.build_http1_options import read_http1_options
from meshproxy.config.build_http2_options import read_http2_options
from meshproxy.config.build_http_filters import build_http_filters
from meshproxy.config.build_local_replies import build_local_replies
from meshproxy.config.build_matchers import build_string_matcher
from meshproxy.config.build_request_steps import build_request_steps, build_second_steps
from meshproxy.config.build_router import build_router
from meshproxy.config.build_routes import build_route_table
from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.downstream.http2_server import PrematureResets, cut_silent
from meshproxy.downstream.http_manager import HttpManager
from meshproxy.downstream.http_stats import ListenerHttpStats
from meshproxy.downstream.http_timeouts import HttpTimeouts
from meshproxy.downstream.overload import Overload
from meshproxy.downstream.overload_http import end_connections, refuse_requests
from meshproxy.downstream.response_steps import ResponseStep, append_via, return_request_id
from meshproxy.http.filter import Hooks
from meshproxy.http.h2.keepalive import Keepalives
from meshproxy.observe.access_log import log_all
from meshproxy.routing.table import RouteTable

_KIB = 1024
_DEFAULT_HEAD_KB = 60

_NOT_YET = {
    "rds": "route discovery is not supported yet: use route_config",
    "scoped_routes": "scoped routes are not supported yet: use route_config",
    "http3_protocol_options": "HTTP/3 is not supported",
    "proxy_status_config": "the proxy-status header is not supported",
    "typed_header_validation_config": "header validators are not supported: the HTTP/1 codec validates",
}
_NO_MEANING = {
    "tracing": "tracing is not supported yet",
    "add_proxy_protocol_connection_state": "the address of a PROXY header is always known",
}


def build_http_manager(view: View, ctx: Context, buffer_limit: int) -> HttpManager:
    """Everything of one HTTP entry; its stats are registered with `ctx`. buffer_limit: the listener's, in bytes."""
    for field, why in _NOT_YET.items():
        if view.has(field):
            view.reject(field, why)
    for field, why in _NO_MEANING.items():
        view.ignore(field, why=why)
    prefix = f"http.{view.stat_prefix}."
    scoped = replace(ctx, stat_prefix=prefix)
    with view.at("http_filters"):
        filters, router = build_http_filters(view.http_filters, scoped)
    # Before the manager, which measures what a format asks for.
    log = log_all(build_access_logs(view.access_log, ctx, later=True))
    routes = _build_routes(view, ctx)
    manager = HttpManager(ctx.loop, view.stat_prefix, routes, filters, _timeouts(view))
    manager.buffer_limit = buffer_limit
    _read_codec(view, manager, ctx)
    manager.terminal = build_router(router, ctx)
    manager.request_steps = build_request_steps(view, ctx, manager.stats, routes.internal_only_headers)
    manager.second_steps = build_second_steps(view, ctx, manager.stats)
    manager.response_steps = _response_steps(view)
    _heed_overload(manager, ctx.overload, tell=view.append_local_overload)
    _read_server_header(view, manager)
    with view.at("local_reply_config"):
        manager.local_replies = build_local_replies(view.local_reply_config, ctx)
    _read_upgrades(view, manager, scoped)
    manager.log = log
    _read_log_options(view, manager)
    manager.failed = ctx.failures.add
    ctx.stats.add(f"http.{view.stat_prefix}", manager.stats)
    ctx.stats.add(f"http.{view.stat_prefix}.tracing", manager.tracing_stats)
    ctx.stats.add("http1", manager.http1_stats)
    manager.show_stats = ctx.stats.add
    ctx.stats.add(f"{ctx.listener_prefix}.http.{view.stat_prefix}", ListenerHttpStats(manager.stats))
    return manager


def _build_routes(view: View, ctx: Context) -> RouteTable:
    if view.which("route_specifier") is None:
        view.reject("route_config", "a route_config is needed")
    with view.at("route_config"):
        return build_route_table(view.route_config, ctx)


def _timeouts(view: View) -> HttpTimeouts:
    common = view.common_http_protocol_options
    return HttpTimeouts(
        idle=common.seconds("idle_timeout", 3600.0) or 0.0,
        max_connection=common.seconds("max_connection_duration", 0.0) or 0.0,
        max_connection_jitter=common.max_connection_duration_jitter.value,
        max_connection_safe=view.http1_safe_max_connection_duration,
        drain=view.seconds("drain_timeout", 5.0) or 0.0,
        delayed_close=view.seconds("delayed_close_timeout", 1.0) or 0.0,
        stream_idle=view.seconds("stream_idle_timeout", 300.0) or 0.0,
        flush=view.seconds("stream_flush_timeout", 0.0) or 0.0,
        request=view.seconds("request_timeout", 0.0) or 0.0,
        request_headers=view.seconds("request_headers_timeout", 0.0) or 0.0,
        max_stream=common.seconds("max_stream_duration", 0.0) or 0.0,
    )


def _read_codec(view: View, manager: HttpManager, ctx: Context) -> None:
    codec = view.enum("codec_type")
    if codec not in ("AUTO", "HTTP1", "HTTP2"):
        view.reject("codec_type", f"{codec} is not supported")
    manager.codec = codec
    options = manager.http1
    http1 = view.http_protocol_options
    with view.at("http_protocol_options"):
        read_http1_options(options, http1)
        options.ignored_upgrades = tuple(build_string_matcher(each, ctx) for each in http1.ignore_http_11_upgrade)
    common = view.common_http_protocol_options
    common.ignore("max_response_headers_kb", why="it is for upstreams")
    options.max_head = view.get("max_request_headers_kb", _DEFAULT_HEAD_KB) * _KIB
    options.max_headers = common.get("max_headers_count", options.max_headers)
    actions = {"ALLOW": "allow", "REJECT_REQUEST": "reject", "DROP_HEADER": "drop"}
    options.underscores = actions[common.enum("headers_with_underscores_action")]
    manager.max_requests = common.get("max_requests_per_connection", 0)
    lenient = view.get("stream_error_on_invalid_http_message", False)
    own = http1.override_stream_error_on_invalid_http_message
    manager.close_on_bad_request = not (lenient if own is None else own)
    _read_http2(view, manager, lenient)
    manager.premature_resets = PrematureResets(ctx.runtime)
    manager.proxy_100_continue = view.proxy_100_continue


def _read_http2(view: View, manager: HttpManager, lenient: bool) -> None:
    """lenient: stream_error_on_invalid_http_message."""
    options = manager.http2
    options.stream_error = lenient
    with view.at("http2_protocol_options"):
        read_http2_options(options, view.http2_protocol_options)
    http1 = manager.http1
    options.max_head, options.max_headers, options.underscores = http1.max_head, http1.max_headers, http1.underscores
    if options.keepalive_interval:
        manager.keepalives = Keepalives(manager.loop, options, cut_silent)


def _response_steps(view: View) -> tuple[ResponseStep, ...]:
    steps: list[ResponseStep] = []
    if view.always_set_request_id_in_response:
        steps.append(return_request_id)
    if view.via:
        steps.append(append_via(view.via))
    return tuple(steps)


def _heed_overload(manager: HttpManager, overload: Overload, tell: bool) -> None:
    stop, point = overload.action("stop_accepting_requests"), overload.point("http_connection_manager_decode_headers")
    if (refuses := overload.either(stop, point)) is not None:
        manager.request_steps = (refuse_requests(refuses, manager.stats, tell), *manager.request_steps)
    if (ends := overload.action("disable_http_keepalive")) is not None:
        manager.response_steps = (*manager.response_steps, end_connections(ends.strikes, manager))
    for timer, (action, least) in overload.scaled_timers.items():
        action.on_change(partial(manager.time.scale, timer, least))
    manager.go_away = overload.either(overload.point("http2_server_go_away_on_dispatch"))
    manager.go_away_and_close = overload.either(overload.point("http2_server_go_away_and_close_on_dispatch"))
    manager.sheds_http2 = manager.go_away is not None or manager.go_away_and_close is not None
    overload.managers.append(manager)


def _read_server_header(view: View, manager: HttpManager) -> None:
    mode = view.enum("server_header_transformation")
    name = view.server_name or "envoy"
    manager.server_name = None if mode == "PASS_THROUGH" else name
    manager.server_overwrite = mode == "OVERWRITE"


def _read_upgrades(view: View, manager: HttpManager, ctx: Context) -> None:
    for i, each in enumerate(view.upgrade_configs):
        with view.at("upgrade_configs", i):
            kind = each.upgrade_type.lower()
            if kind in manager.upgrades:
                each.reject("upgrade_type", f"multiple upgrade configs with the same name: '{each.upgrade_type}'")
            manager.upgrades[kind] = each.get("enabled", True)
            if each.filters:
                with each.at("filters"):
                    filters, router = build_http_filters(each.filters, ctx)
                router.take()
                manager.upgrade_hooks[kind] = Hooks([each for each in filters if not each.disabled])


def _read_log_options(view: View, manager: HttpManager) -> None:
    options = view.access_log_options
    manager.log_tunnels = options.flush_log_on_tunnel_successfully_established
    deprecated = view.seconds("access_log_flush_interval", 0.0)
    interval = options.seconds("access_log_flush_interval", deprecated) or 0.0
    if interval and manager.log is not None:
        manager.log_every(interval)
    manager.log_new_requests = options.flush_access_log_on_new_request or view.flush_access_log_on_new_request
