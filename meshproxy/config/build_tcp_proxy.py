"""envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy."""

from typing import Any

from meshproxy.config.build_access_logs import build_access_logs
from meshproxy.config.build_hash_policy import build_tcp_hash_policy
from meshproxy.config.context import Context
from meshproxy.config.structs import wire_struct
from meshproxy.config.view import View
from meshproxy.downstream.tcp_proxy import TcpProxy
from meshproxy.net.splice import Pipes, pipe_size
from meshproxy.observe.access_log import log_all

IDLE_TIMEOUT = 3600.0


def build_tcp_proxy(view: View, ctx: Context, buffer_limit: int) -> TcpProxy:
    """The TCP proxy at the end of a filter chain."""
    _refuse(view)
    size = pipe_size(buffer_limit)
    pipes = ctx.pipes.setdefault(size, Pipes(size))
    proxy = TcpProxy(ctx.loop, ctx.clusters, pipes, buffer_limit)
    ctx.stats.add(f"tcp.{view.stat_prefix}", proxy.stats)
    metadata = _lb_metadata(view.metadata_match)
    if view.which("cluster_specifier") == "cluster":
        proxy.targets = [(view.cluster, 1, metadata)]
    else:
        for each in view.weighted_clusters.clusters:
            own = {**metadata, **_lb_metadata(each.metadata_match)}
            proxy.targets.append((each.name, each.weight, own))
    proxy.set_idle_timeout(view.get("idle_timeout", IDLE_TIMEOUT))
    proxy.hash_policy = build_tcp_hash_policy(view.hash_policy)
    proxy.max_connect_attempts = view.get("max_connect_attempts", 1)
    if view.backoff_options:
        base = view.backoff_options.get("base_interval", 0.0)
        proxy.backoff = (base, view.backoff_options.get("max_interval", 10 * base))
    proxy.max_duration = view.get("max_downstream_connection_duration", 0.0)
    proxy.max_duration_jitter = view.max_downstream_connection_duration_jitter_percentage.value
    proxy.log = log_all(build_access_logs(view.access_log, ctx))
    proxy.failed = ctx.failures.add
    options = view.access_log_options
    proxy.log_on_connect = view.flush_access_log_on_connected or options.flush_access_log_on_connected
    proxy.log_on_start = options.flush_access_log_on_start
    proxy.set_log_interval(options.get("access_log_flush_interval", view.get("access_log_flush_interval", 0.0)))
    return proxy


def _refuse(view: View) -> None:
    for field in ("tunneling_config", "on_demand", "downstream_idle_timeout", "upstream_idle_timeout"):
        if view.has(field):
            view.reject(field, "not supported")
    if view.proxy_protocol_tlvs:
        view.reject("proxy_protocol_tlvs", "not supported")
    if view.enum("upstream_connect_mode") != "IMMEDIATE":
        view.reject("upstream_connect_mode", "only IMMEDIATE is supported")
    view.ignore("max_early_data_bytes", why="nothing is read before the upstream is connected")
    view.ignore("proxy_protocol_tlv_merge_policy", why="no upstream is sent a PROXY header")
    view.ignore("check_drain_close", why="TCP connections live on while a listener drains")


def _lb_metadata(view: View) -> dict[str, Any]:
    """What endpoints must have: the envoy.lb part of metadata_match."""
    view.ignore("typed_filter_metadata", why="only envoy.lb counts here")
    found = view.filter_metadata.get("envoy.lb")
    return wire_struct(found.take()) if found is not None else {}
