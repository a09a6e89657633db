"""envoy.config.bootstrap.v3.Bootstrap: what belongs to the process and to no room of its own."""

from typing import Any

from meshproxy.config.context import Context, Node
from meshproxy.config.errors import ConfigError, ConfigErrors, Problems
from meshproxy.config.structs import struct_dict
from meshproxy.config.view import View
from meshproxy.upstream.local_cluster import LocalCluster

_NOT_YET = {
    "dynamic_resources": "dynamic resources (xDS) are not supported yet",
    "hds_config": "health discovery is not supported",
    "tracing": "tracing is not supported yet",
    "xds_delegate_extension": "xDS is not supported yet",
    "xds_config_tracker_extension": "xDS is not supported yet",
}
_WITHOUT_MEANING = {
    "enable_dispatcher_stats": "how late the event loop is, dispatcher.loop_lag_us, is always counted",
    "flags_path": "there are no flag files",
    "fatal_actions": "a fault in one stream is not fatal",
    "default_socket_interface": "sockets are the operating system's",
    "perf_tracing_file_path": "there is no perf tracing",
    "grpc_async_client_manager_config": "gRPC clients are not cached",
    "memory_allocator_manager": "the allocator is Python's",
    "listener_manager": "there is one listener manager",
    "stats_eviction_interval": "stats live as long as what they count",
    "deferred_stat_options": "the stats of an idle cluster are some 2 KB, so that none are deferred",
    "inline_headers": "all headers are found by name at the same cost",
    "node_context_params": "xDS is not supported yet",
    "config_sources": "xDS is not supported yet",
    "default_config_source": "xDS is not supported yet",
    "certificate_provider_instances": "certificates come inline, from files or from secrets",
}


_BOOTSTRAP = "envoy.extensions."
_IDLE_EXTENSIONS = {
    _BOOTSTRAP + "bootstrap.internal_listener.v3.InternalListener": "there are no internal listeners",
    _BOOTSTRAP + "network.socket_interface.v3.DefaultSocketInterface": "sockets are the operating system's",
}


def build_node(view: View, options: Any) -> Node:
    """The node, with the command line merged over it."""
    node = view.node
    node.ignore("extensions", "client_features", "listening_addresses", "user_agent_name", "user_agent_version",
                "user_agent_build_version", "dynamic_parameters", why="xDS is not supported yet")  # fmt: skip
    # Read first: what the command line takes the place of is not unread.
    name, cluster, zone = node.id, node.cluster, node.locality.zone
    return Node(
        id=options.service_node or name,
        cluster=options.service_cluster or cluster,
        region=node.locality.region,
        zone=options.service_zone or zone,
        sub_zone=node.locality.sub_zone,
        metadata=struct_dict(node.metadata.take()) if node.metadata else {},
    )


def build_local_cluster(view: View, ctx: Context) -> LocalCluster | None:
    """envoy.config.bootstrap.v3.ClusterManager.local_cluster_name."""
    if not view.local_cluster_name:
        return None
    node = ctx.node
    return LocalCluster(view.local_cluster_name, (node.region, node.zone, node.sub_zone), ctx.clusters)


def watch_local_cluster(ctx: Context) -> None:
    """Once all clusters are built."""
    local = ctx.local_cluster
    if local is None:
        return
    cluster = ctx.clusters.by_name.get(local.name)
    if cluster is None:
        raise ConfigError(f"local cluster '{local.name}' must be defined")
    local.watch(cluster)


def read_rest(view: View) -> None:
    """Refuses what is not there yet, all of it at once, and accepts by name what has no meaning here."""
    for name, why in _WITHOUT_MEANING.items():
        view.ignore(name, why=why)
    manager = view.cluster_manager
    manager.ignore("load_stats_config", why="not supported yet")
    manager.ignore("enable_deferred_cluster_creation", why="clusters are always made when the configuration arrives")
    found = Problems()
    for name, why in _NOT_YET.items():
        with found.collect():
            if getattr(view, name):
                view.reject(name, why)
    for extension in view.bootstrap_extensions:
        with found.collect():
            _read_extension(extension)
    with found.collect():
        _read_regex_engine(view)
    if found.errors:
        raise ConfigErrors(found.errors, rooted=True)


def _read_extension(view: View) -> None:
    """One that only prepares what others may use is accepted: who would use it is refused where it stands."""
    name = view.name
    why = _IDLE_EXTENSIONS.get(view.typed_config.type_name)
    if why is None:
        view.reject("typed_config", f"unsupported bootstrap extension {name}")
    view.ignore("typed_config", why=why)


def _read_regex_engine(view: View) -> None:
    if view.default_regex_engine:
        _ = view.default_regex_engine.name  # the type says which engine it is
        engine = view.default_regex_engine.typed_config
        if not engine.type_name.endswith("regex_engines.v3.GoogleRE2"):
            view.reject("default_regex_engine", f"unsupported regex engine {engine.type_name}")
        engine.unpack().take()
