"""Aggregate clusters (envoy.extensions.clusters.aggregate.v3.ClusterConfig)."""

from meshproxy.config.build_balancers import provided_by_cluster
from meshproxy.config.context import Context
from meshproxy.config.lb_scope import LbScope
from meshproxy.config.view import View
from meshproxy.upstream.aggregate import Aggregate
from meshproxy.upstream.cluster import Cluster

_CONFIG = "envoy.extensions.clusters.aggregate.v3.ClusterConfig"


def build_aggregate(cluster: Cluster, view: View, ctx: Context) -> None:
    """Gives the cluster the balancer that goes through other clusters."""
    if not provided_by_cluster(view):
        provided = "cluster manager: cluster provided LB not specified but cluster"
        view.reject("lb_policy", f"{provided} '{view.name}' provided one. Check cluster documentation.")
    custom = view.cluster_type
    if custom.typed_config.type_name != _CONFIG:
        custom.reject("typed_config", f"unsupported extension: {custom.typed_config.type_name}")
    names = list(custom.typed_config.unpack().clusters)
    found = Aggregate(names, ctx.clusters, LbScope(ctx, cluster.stats, view).settings())
    found.cluster = cluster
    cluster.balancer = cluster.discovery = found
