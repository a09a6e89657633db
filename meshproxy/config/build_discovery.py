"""Where a cluster's endpoints come from: its type, or the extension in `cluster_type`."""

from collections.abc import Callable
from dataclasses import dataclass

from meshproxy.config.build_addresses import is_ip
from meshproxy.config.build_balancers import provided_by_cluster
from meshproxy.config.build_endpoints import build_endpoints
from meshproxy.config.build_original_dst import build_original_dst
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.dns import DnsSettings, LogicalDns, StrictDns
from meshproxy.upstream.endpoint import Endpoint

_DNS_FIELDS = (
    "dns_failure_refresh_rate", "dns_jitter", "dns_lookup_family", "dns_refresh_rate", "dns_resolution_config",
    "dns_resolvers", "respect_dns_ttl", "typed_dns_resolver_config", "use_tcp_for_dns_lookups",
)  # fmt: skip
_SYSTEM_RESOLVER = "names are looked up by the system's resolver"
_DNS_CLUSTER = "envoy.extensions.clusters.dns.v3.DnsCluster"
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


def build_discovery(cluster: Cluster, view: View) -> None:
    """Gives the cluster its endpoints, or what will find them."""
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
    build(cluster, view, kind)


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
    cluster.discovery = StrictDns(cluster, _named_endpoints(view), _dns_settings(kind.settings))


def _logical_dns(cluster: Cluster, view: View, kind: _Kind) -> None:
    templates = _named_endpoints(view)
    if len(templates) != 1:
        view.reject("load_assignment", "a LOGICAL_DNS cluster must have a single endpoint")
    cluster.discovery = LogicalDns(cluster, templates, _dns_settings(kind.settings))


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
            if not port:
                raise ConfigError(f"a DNS cluster cannot have the address {host or 'without a port'}")
            endpoint.hostname = endpoint.hostname or host
    return endpoints


def _dns_settings(view: View) -> DnsSettings:
    settings = DnsSettings()
    settings.refresh = view.seconds("dns_refresh_rate", 5.0) or 5.0
    settings.jitter = view.seconds("dns_jitter", 0.0) or 0.0
    family = view.enum("dns_lookup_family")
    settings.family = "AUTO" if family == "UNSPECIFIED" else family
    if view.has("dns_failure_refresh_rate"):
        rate = view.dns_failure_refresh_rate
        settings.failure_base = rate.seconds("base_interval")
        settings.failure_max = rate.seconds("max_interval", settings.failure_base * 10)
        if settings.failure_max < settings.failure_base:
            rate.reject("max_interval", "must be greater than or equal to the base_interval")
    view.ignore("respect_dns_ttl", why="the system's resolver does not tell how long an answer holds")
    view.ignore("typed_dns_resolver_config", why=_SYSTEM_RESOLVER)
    if view.type_name != _DNS_CLUSTER:
        view.ignore("dns_resolution_config", "dns_resolvers", "use_tcp_for_dns_lookups", why=_SYSTEM_RESOLVER)
    return settings
