"""/server_info: version, state, age, command line and node."""

import time
from typing import Any

from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.plain import dump, plain
from meshproxy.admin.server_view import Server
from meshproxy.observe.process_log import DEFAULT_PATTERN


@page("/server_info", "print server version/status information")
def server_info(server: Server, _request: Request) -> Answer:
    up = f"{int(time.time() - server.started)}s"
    info = {
        "version": server.version,
        "state": server.state,
        "uptime_current_epoch": up,
        "uptime_all_epochs": up,
        "hot_restart_version": "disabled",
        "command_line_options": command_line(server.options),
        "node": node(server),
    }
    return Answer(dump(info), content_type=JSON)


def node(server: Server) -> dict[str, Any]:
    """The node as xDS servers would see it: with what the command line says of it."""
    own = server.ctx.node
    tree: dict[str, Any] = plain(server.bootstrap.node)
    named = {"id": own.id, "cluster": own.cluster}
    locality = {"region": own.region, "zone": own.zone, "sub_zone": own.sub_zone}
    tree.update({key: value for key, value in named.items() if value})
    if any(locality.values()):
        tree["locality"] = {key: value for key, value in locality.items() if value}
    return {**tree, "user_agent_name": "meshproxy", "user_agent_version": server.version}


def command_line(options: Any) -> dict[str, Any]:
    """envoy.admin.v3.CommandLineOptions, of which everything is shown."""
    return {
        "base_id": str(options.base_id),
        "use_dynamic_base_id": False,
        "skip_hot_restart_on_no_parent": False,
        "skip_hot_restart_parent_stats": False,
        "base_id_path": "",
        "concurrency": options.concurrency,
        "config_path": options.config_path,
        "config_yaml": options.config_yaml,
        "allow_unknown_static_fields": options.allow_unknown_static_fields,
        "reject_unknown_dynamic_fields": options.reject_unknown_dynamic_fields,
        "ignore_unknown_dynamic_fields": options.ignore_unknown_dynamic_fields,
        "skip_deprecated_logs": options.skip_deprecated_logs,
        "admin_address_path": options.admin_address_path,
        "local_address_ip_version": options.local_address_ip_version,
        "log_level": options.log_level,
        "component_log_level": options.component_log_level,
        "log_format": options.log_format or DEFAULT_PATTERN,
        "log_format_escaped": options.log_format_escaped,
        "log_path": options.log_path,
        "service_cluster": options.service_cluster,
        "service_node": options.service_node,
        "service_zone": options.service_zone,
        "file_flush_interval": f"{options.file_flush_interval_msec / 1000:.3f}s",
        "file_flush_min_size": options.file_flush_min_size_kb,
        "drain_time": f"{options.drain_time_s}s",
        "drain_strategy": options.drain_strategy.capitalize(),
        "parent_shutdown_time": f"{options.parent_shutdown_time_s}s",
        "mode": {"serve": "Serve", "validate": "Validate", "init_only": "InitOnly"}[options.mode],
        "disable_hot_restart": True,
        "restart_epoch": options.restart_epoch,
        "stats_tag": list(options.stats_tag),
        # Of what means nothing here.
        "enable_mutex_tracing": False,
        "cpuset_threads": False,
        "disabled_extensions": [],
        "enable_fine_grain_logging": False,
        "socket_path": "@envoy_domain_socket",
        "socket_mode": 0,
        "enable_core_dump": False,
        "log_stacktrace_single_entry": False,
    }
