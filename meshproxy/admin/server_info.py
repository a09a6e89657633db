"""/server_info: version, state, age, command line and node."""

import time
from base64 import b64encode
from typing import Any

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.plain import REDACTED, plain
from meshproxy.admin.server_view import Server
from meshproxy.config.bootstrap import load_bootstrap
from meshproxy.config.types import message_class
from meshproxy.observe.process_log import DEFAULT_PATTERN


@page("/server_info", "print server version/status information")
def server_info(server: Server, _request: Request) -> Answer:
    info = message_class("envoy.admin.v3.ServerInfo")(
        version=server.version, state=server.state, hot_restart_version="disabled", node=node(server)
    )
    info.uptime_current_epoch.FromSeconds(int(time.time() - server.started))
    info.uptime_all_epochs.CopyFrom(info.uptime_current_epoch)
    _fill_command_line(info.command_line_options, server.options)
    return Answer(dump(plain(info, full=True)), content_type=JSON)


def node(server: Server) -> Any:
    """The envoy.config.core.v3.Node as xDS servers would see it: with what the command line says of it."""
    own = server.ctx.node
    node = type(server.bootstrap.node)()
    node.CopyFrom(server.bootstrap.node)
    node.MergeFrom(type(node)(id=own.id, cluster=own.cluster))
    locality = type(node.locality)(region=own.region, zone=own.zone, sub_zone=own.sub_zone)
    if locality.ListFields():
        node.locality.MergeFrom(locality)
    node.user_agent_name = "meshproxy"
    _fill_build_version(node.user_agent_build_version, server.version)
    return node


def _fill_build_version(build: Any, version: str) -> None:
    """`version`: as server_view.Server has it."""
    revision, number, status, kind, library = version.split("/")
    numbers = [int(part) if part.isascii() and part.isdigit() else 0 for part in number.split(".")]
    build.version.major_number, build.version.minor_number, build.version.patch = (*numbers, 0, 0, 0)[:3]
    build.metadata.update(
        {"revision.sha": revision, "revision.status": status, "build.type": kind, "ssl.version": library}
    )


def _fill_command_line(shown: Any, options: Any) -> None:
    """envoy.admin.v3.CommandLineOptions; what has no effect here keeps its default."""
    for name in _SAME:
        setattr(shown, name, getattr(options, name))
    shown.config_yaml = _without_secrets(options.config_yaml)
    shown.stats_tag.extend(options.stats_tag)
    shown.log_format = options.log_format or DEFAULT_PATTERN
    shown.file_flush_interval.FromMilliseconds(options.file_flush_interval_msec)
    shown.file_flush_min_size = options.file_flush_min_size_kb
    shown.drain_time.FromSeconds(options.drain_time_s)
    shown.parent_shutdown_time.FromSeconds(options.parent_shutdown_time_s)
    shown.drain_strategy = options.drain_strategy.capitalize()
    shown.mode = {"serve": "Serve", "validate": "Validate", "init_only": "InitOnly"}[options.mode]
    shown.disable_hot_restart = True
    shown.disabled_extensions.extend(filter(None, options.disable_extensions.split(",")))


def _without_secrets(config_yaml: str) -> str:
    """As it was given, unless there is something in it that /config_dump would not show: then nothing of it."""
    if not config_yaml:
        return ""
    loaded = load_bootstrap(None, config_yaml, allow_unknown=True)
    written = "".join(dump(plain(loaded.message)))
    return REDACTED if REDACTED in written or b64encode(REDACTED.encode()).decode() in written else config_yaml


# Options that the message calls the same.
_SAME = (
    "base_id", "use_dynamic_base_id", "skip_hot_restart_on_no_parent", "skip_hot_restart_parent_stats", "base_id_path",
    "concurrency", "config_path", "allow_unknown_static_fields", "reject_unknown_dynamic_fields",
    "ignore_unknown_dynamic_fields", "skip_deprecated_logs", "admin_address_path", "local_address_ip_version",
    "log_level", "component_log_level", "log_format_escaped", "log_path", "service_cluster", "service_node",
    "service_zone", "restart_epoch", "enable_mutex_tracing", "cpuset_threads", "enable_fine_grain_logging",
    "socket_path", "enable_core_dump", "log_stacktrace_single_entry",
)  # fmt: skip
