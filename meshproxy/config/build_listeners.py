"""envoy.config.listener.v3.Listener."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from meshproxy.config.build_access_logs import build_access_logs
from meshproxy.config.build_addresses import socket_options
from meshproxy.config.build_endpoints import metadata_of
from meshproxy.config.build_filter_chains import build_filter_chains
from meshproxy.config.build_listen_addresses import build_listen_addresses
from meshproxy.config.build_listener_filters import build_listener_filters
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.downstream.connection_balance import ExactBalance
from meshproxy.downstream.inspection import Inspection
from meshproxy.downstream.listener import Listener
from meshproxy.downstream.overload import Overload
from meshproxy.net.count import UNLIMITED
from meshproxy.net.sockets import ListenOptions
from meshproxy.net.timeouts import TimeoutQueue
from meshproxy.observe.access_log import log_all

BUFFER_LIMIT = 1024 * 1024
_UNSUPPORTED = {
    "api_listener": "API listeners are not supported",
    "internal_listener": "internal listeners are not supported",
    "udp_listener_config": "UDP and QUIC listeners are not supported",
    "fcds_config": "filter chain discovery is not supported",
    "per_connection_buffer_high_watermark_timeout": "not supported",
}
_NO_MEANING = {
    "reuse_port": "deprecated: enable_reuse_port is what counts",
}


def build_listener(view: View, ctx: Context) -> Listener:
    """A listener that is neither bound nor served yet: `await listener.start()` does both."""
    if view.bypass_overload_manager:
        ctx = replace(ctx, overload=Overload())
    for field, why in _UNSUPPORTED.items():
        if view.has(field):
            view.reject(field, why)
    for field, why in _NO_MEANING.items():
        view.ignore(field, why=why)
    if not view.address:
        raise ConfigError(f"error adding listener named '{view.name}': address is necessary")
    addresses = build_listen_addresses(view)
    listener = Listener(ctx.loop, view.name or str(addresses[0]), addresses)
    listener.socket_options = _build_options(view, listener)
    listener.bind_to_port = view.get("bind_to_port", _deprecated_bind(view))
    listener.metadata = metadata_of(view.metadata)
    listener.traffic_direction = view.enum("traffic_direction")
    listener.drains_by_health = view.enum("drain_type") != "MODIFY_ONLY"
    listener.max_accepts = view.get("max_connections_to_accept_per_socket_event", listener.max_accepts)
    listener.ignores_all_connections = view.ignore_global_conn_limit
    listener.all_connections = ctx.connections
    listener.accepted = ctx.counts.make()
    listener.connection_limit = _connection_limit(view.name, ctx)
    _heed_overload(listener, ctx.overload)
    listener.balance = _build_balance(view.connection_balance_config, ctx)
    prefix = _add_stats(view, listener, ctx)
    inner = replace(ctx, listener_prefix=prefix)
    listener.chains = build_filter_chains(view, inner, view.get("per_connection_buffer_limit_bytes", BUFFER_LIMIT))
    listener.listener_filters = build_listener_filters(view, ctx)
    timeout = view.seconds("listener_filters_timeout", 15.0)
    listener.inspections = TimeoutQueue(ctx.loop, timeout, Inspection.expire) if timeout else None
    listener.continue_on_filters_timeout = view.continue_on_listener_filters_timeout
    listener.log = _build_log(view, ctx)
    listener.failed = ctx.failures.add
    for chain in listener.chains:
        chain.counted = listener.log is not None
    if view.get("use_original_dst", False):
        listener.hands_over_to = ctx.listeners
    try:
        ctx.listeners.add(listener)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return listener


def _heed_overload(listener: Listener, overload: Overload) -> None:
    rejects = overload.action("reject_incoming_connections")
    listener.refuses = overload.either(rejects, overload.point("tcp_listener_accept"))
    if (stop := overload.action("stop_accepting_connections")) is not None:
        stop.on_change(lambda value: listener.pause(value >= 1))


def _build_balance(view: View, ctx: Context) -> ExactBalance | None:
    view.ignore("cpu_locality_balance", why="the kernel chooses the worker at random")
    if view.has("extend_balance"):
        view.reject("extend_balance", "not supported: exact_balance is")
    exact = view.has("exact_balance")
    numbers = ctx.counts.numbers
    return ExactBalance(numbers) if exact and numbers is not None else None


def _build_options(view: View, listener: Listener) -> ListenOptions:
    mptcp = view.enable_mptcp
    if mptcp and any(where.unix for where in listener.addresses):
        view.reject("enable_mptcp", f"listener {view.name}: enable_mptcp can only be used with IP addresses")
    return ListenOptions(
        backlog=view.get("tcp_backlog_size", ListenOptions().backlog),
        reuse_port=view.get("enable_reuse_port", True),
        transparent=view.get("transparent", False),
        freebind=view.get("freebind", False),
        fast_open=view.get("tcp_fast_open_queue_length", 0),
        mptcp=mptcp,
        options=socket_options(view.socket_options),
    )


def _deprecated_bind(view: View) -> bool:
    return bool(view.deprecated_v1.get("bind_to_port", True))


def _connection_limit(name: str, ctx: Context) -> Callable[[], int]:
    key = f"envoy.resource_limits.listener.{name}.connection_limit"
    return lambda: ctx.runtime.integer(key, UNLIMITED)


def _add_stats(view: View, listener: Listener, ctx: Context) -> str:
    """Registers the listener's stats; what their names begin with."""
    prefix = listener.stat_prefix = "listener." + (view.stat_prefix or str(listener.addresses[0])).replace(":", "_")
    ctx.stats.add(prefix, listener.stats)
    ctx.stats.add(f"{prefix}.worker_{ctx.options.get('worker', 0)}", listener.worker_stats)
    return prefix


def _build_log(view: View, ctx: Context) -> Callable[[Any], None] | None:
    return log_all(build_access_logs(view.access_log, ctx))
