"""Where a cluster's endpoints come from: its type, or the extension in `cluster_type`."""

from collections.abc import Callable
from dataclasses import dataclass

from meshproxy.config.build_addresses import is_ip
from meshproxy.config.build_aggregate import build_aggregate
from meshproxy.config.build_balancers import provided_by_cluster
from meshproxy.config.build_dns import build_dns_settings, build_lookup
from meshproxy.config.build_endpoints import build_endpoints
from meshproxy.config.build_original_dst import build_original_dst
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.upstream.aggregate import AggregateCluster
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.dns import DnsDiscovery, DnsSettings, LogicalDns, StrictDns
from meshproxy.upstream.dns_names import DnsStats, Lookup
from meshproxy.upstream.endpoint import Endpoint

_DNS_FIELDS = (
    "dns_failure_refresh_rate", "dns_jitter", "dns_lookup_family", "dns_refresh_rate", "dns_resolution_config",
    "dns_resolvers", "respect_dns_ttl", "typed_dns_resolver_config", "use_tcp_for_dns_lookups",
)  # fmt: skip
_DNS_CLUSTER = "envoy.extensions.clusters.dns.v3.DnsCluster"
_AGGREGATE = "envoy.clusters.aggregate"
# Names of extensions, which Envoy asks for here in place of types.
_CUSTOM = {
    "envoy.cluster.static": "STATIC",
    "envoy.cluster.original_dst": "ORIGINAL_DST",
    "envoy.cluster.strict_dns": "STRICT_DNS",
    "envoy.cluster.logical_dns": "LOGICAL_DNS",
    "envoy.cluster.dns": "DNS",
}


@dataclass(slots=True)
class _Kind:
    """What the cluster is, and the message that holds its DNS settings."""

    name: str
    settings: View
    # What the bootstrap says about looking up names.
    lookup: Lookup | None = None


def cluster_class(view: View) -> type[Cluster]:
    """Of what class the cluster has to be."""
    return AggregateCluster if view.cluster_type.name == _AGGREGATE else Cluster


def build_discovery(cluster: Cluster, view: View, ctx: Context) -> None:
    """Gives the cluster its endpoints, or what will find them."""
    if view.cluster_type.name == _AGGREGATE:
        view.ignore(*_DNS_FIELDS, "load_assignment", why="an aggregate cluster has the endpoints of others")
        view.ignore("cleanup_interval", "original_dst_lb_config", why="only ORIGINAL_DST clusters read it")
        build_aggregate(cluster, view, ctx)
        return
    kind = _kind_of(view)
    build: Callable[[Cluster, View, _Kind], None] | None = _KINDS.get(kind.name)
    if build is None:
        view.reject("type", f"{kind.name} is not supported yet: STATIC, STRICT_DNS, LOGICAL_DNS and ORIGINAL_DST are")
    if kind.name != "STRICT_DNS" and view.common_lb_config.consistent_hashing_lb_config.use_hostname_for_hashing:
        what = f"consistent hashing loadbalancing for cluster of type: 'envoy.cluster.{kind.name.lower()}'"
        view.reject("common_lb_config", f"Cannot use hostname for {what}")
    if kind.name != "ORIGINAL_DST":
        if provided_by_cluster(view):
            provided = "cluster provided LB specified but cluster"
            view.reject("lb_policy", f"{provided} '{view.name}' did not provide one. Check cluster documentation.")
        view.ignore("cleanup_interval", "original_dst_lb_config", why="only ORIGINAL_DST clusters read it")
    kind.lookup = ctx.lookup
    build(cluster, view, kind)
    if isinstance(cluster.discovery, DnsDiscovery):
        if ctx.dns_stats is None:
            ctx.dns_stats = DnsStats()
            ctx.stats.add("dns.cares", ctx.dns_stats)
        cluster.discovery.counts = ctx.dns_stats


def _kind_of(view: View) -> _Kind:
    if view.which("cluster_discovery_type") != "cluster_type":
        return _Kind(view.enum("type"), view)
    custom = view.cluster_type
    name = _CUSTOM.get(custom.name, "")
    if not name:
        custom.reject("name", f"unsupported cluster type: {custom.name}")
    if not custom.has("typed_config"):
        return _Kind(name, view)
    if custom.typed_config.type_name != _DNS_CLUSTER:
        custom.reject("typed_config", f"unsupported extension: {custom.typed_config.type_name}")
    settings = custom.typed_config.unpack()
    view.ignore(*_DNS_FIELDS, why="cluster_type says it")
    if name == "DNS":
        name = "LOGICAL_DNS" if settings.all_addresses_in_single_endpoint else "STRICT_DNS"
    return _Kind(name, settings)


def _static(cluster: Cluster, view: View, kind: _Kind) -> None:
    view.ignore(*_DNS_FIELDS, why="the cluster is STATIC")
    with view.at("load_assignment"):
        endpoints = build_endpoints(view.load_assignment)
        for endpoint in endpoints:
            host, port = endpoint.address
            if port and not is_ip(host):
                raise ConfigError(f"malformed IP address: {host} (names need the type STRICT_DNS or LOGICAL_DNS)")
    cluster.set_endpoints(endpoints)


def _strict_dns(cluster: Cluster, view: View, kind: _Kind) -> None:
    cluster.discovery = StrictDns(cluster, _named_endpoints(view), *_dns(kind))


def _logical_dns(cluster: Cluster, view: View, kind: _Kind) -> None:
    templates = _named_endpoints(view)
    if len(templates) != 1:
        view.reject("load_assignment", "a LOGICAL_DNS cluster must have a single endpoint")
    cluster.discovery = LogicalDns(cluster, templates, *_dns(kind))


def _dns(kind: _Kind) -> tuple[DnsSettings, Lookup]:
    settings = build_dns_settings(kind.settings)
    return settings, build_lookup(kind.settings, settings, kind.lookup)


def _original_dst(cluster: Cluster, view: View, kind: _Kind) -> None:
    view.ignore(*_DNS_FIELDS, why="the cluster is ORIGINAL_DST")
    build_original_dst(cluster, view)


_KINDS = {
    "STATIC": _static, "STRICT_DNS": _strict_dns, "LOGICAL_DNS": _logical_dns, "ORIGINAL_DST": _original_dst,
}  # fmt: skip


def _named_endpoints(view: View) -> list[Endpoint]:
    with view.at("load_assignment"):
        endpoints = build_endpoints(view.load_assignment)
        for endpoint in endpoints:
            host, port = endpoint.address
            if not port and host.startswith(("/", "@")):
                raise ConfigError(f"a DNS cluster cannot have the address {host}")
            endpoint.hostname = endpoint.hostname or host
    return endpoints
