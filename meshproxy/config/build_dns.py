"""How names are looked up: a cluster's DNS settings, and resolvers (typed_dns_resolver_config and older fields)."""

from functools import partial

from meshproxy.config.build_addresses import is_ip, socket_address
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.upstream.dns import DnsSettings, lookup, lookup_again
from meshproxy.upstream.dns_client import DnsClient, Server
from meshproxy.upstream.dns_names import Lookup

_RESOLVERS = "envoy.extensions.network.dns_resolver."
_NO_CHANNEL = "every question has a socket of its own"
_OLD = ("dns_resolution_config", "dns_resolvers", "use_tcp_for_dns_lookups")


def build_dns_settings(view: View) -> DnsSettings:
    """Of a Cluster, or of the extension DnsCluster."""
    settings = DnsSettings()
    settings.refresh = view.seconds("dns_refresh_rate", 5.0) or 5.0
    settings.jitter = view.seconds("dns_jitter", 0.0) or 0.0
    family = view.enum("dns_lookup_family")
    settings.family = "AUTO" if family == "UNSPECIFIED" else family
    settings.respect_ttl = view.respect_dns_ttl
    if not view.type_name.endswith(".Cluster"):
        settings.minimum = view.seconds("dns_min_refresh_rate", 0.0) or 0.0
    if view.has("dns_failure_refresh_rate"):
        rate = view.dns_failure_refresh_rate
        settings.failure_base = rate.seconds("base_interval")
        settings.failure_max = rate.seconds("max_interval", settings.failure_base * 10)
        if settings.failure_max < settings.failure_base:
            rate.reject("max_interval", "must be greater than or equal to the base_interval")
    return settings


def build_lookup(view: View, settings: DnsSettings | None, default: Lookup | None) -> Lookup:
    """What a cluster asks for names. default: what the bootstrap says, which counts where the cluster says nothing."""
    own = build_resolver(view)
    if own is not None:
        # The system's resolver does not tell how long answers hold.
        return DnsClient() if own is lookup and settings is not None and settings.respect_ttl else own
    if default is not None and default is not lookup:
        return default
    return DnsClient() if settings is not None and settings.respect_ttl else lookup


def build_resolver(view: View) -> Lookup | None:
    """The resolver of a Cluster, a DnsCluster or a Bootstrap; None where that does not say anything."""
    older = "DnsCluster" not in view.type_name
    if view.typed_dns_resolver_config:
        if older:
            names = _OLD if view.type_name.endswith(".Cluster") else (_OLD[0], _OLD[2])
            view.ignore(*names, why="typed_dns_resolver_config says it")
        _ = view.typed_dns_resolver_config.name  # the type says which one it is
        with view.at("typed_dns_resolver_config"):
            return _typed(view.typed_dns_resolver_config.typed_config)
    if not older:
        return None
    if view.dns_resolution_config:
        config = view.dns_resolution_config
        return _client(_servers(config.resolvers), config.dns_resolver_options)
    servers = _servers(view.dns_resolvers) if view.type_name.endswith(".Cluster") else ()
    if servers or view.use_tcp_for_dns_lookups:
        return DnsClient(servers, tcp=view.use_tcp_for_dns_lookups)
    return None


def _typed(config: View) -> Lookup:
    kind = config.type_name.removeprefix(_RESOLVERS)
    if kind == "getaddrinfo.v3.GetAddrInfoDnsResolverConfig":
        view = config.unpack()
        view.ignore("num_resolver_threads", why="there is one pool of threads")
        retries = view.get("num_retries")
        # Envoy asks again without end unless it is told how often; here the next refresh does that.
        return partial(lookup_again, retries) if retries else lookup
    if kind != "cares.v3.CaresDnsResolverConfig":
        raise ConfigError(f"unsupported DNS resolver: {config.type_name}")
    view = config.unpack()
    view.ignore(
        "udp_max_queries", "max_udp_channel_duration", "reinit_channel_on_timeout", why=_NO_CHANNEL
    )
    view.ignore("edns0_max_payload_size", why="long answers are asked for over TCP")
    view.ignore("qcache_max_ttl", why="answers are not kept, but for endpoints")
    view.ignore("filter_unroutable_families", why="what cannot be reached is known once it is dialled")
    client = _client(_servers(view.resolvers), view.dns_resolver_options)
    client.timeout = float(view.get("query_timeout_seconds", client.timeout))
    client.tries = view.get("query_tries", client.tries)
    client.rotate = view.rotate_nameservers
    if view.use_resolvers_as_fallback and client.system.has_servers():
        client.servers = ()
    plain = DnsClient(system=client.system)
    # Where nothing is asked for that it cannot do, the system's resolver knows best how names are looked up here.
    return lookup if client == plain else client


def _client(servers: tuple[Server, ...], options: View) -> DnsClient:
    return DnsClient(servers, tcp=options.use_tcp_for_dns_lookups, search=not options.no_default_search_domain)


def _servers(views: list[View]) -> tuple[Server, ...]:
    servers = []
    for view in views:
        host, port = socket_address(view.socket_address)
        if not is_ip(host):
            raise ConfigError(f"malformed IP address: {host}")
        servers.append((host, port or 53))
    return tuple(servers)
