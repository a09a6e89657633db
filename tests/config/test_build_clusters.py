"""What a cluster's configuration becomes, and what is refused."""

import asyncio
import socket

import pytest

from meshproxy.config.build_clusters import add_cluster
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse
from meshproxy.config.source import inline
from meshproxy.config.view import View, unread
from meshproxy.net.count import UNLIMITED
from meshproxy.upstream.balancers.least_request import LeastRequest
from meshproxy.upstream.balancers.maglev import Maglev
from meshproxy.upstream.balancers.random import Random
from meshproxy.upstream.balancers.ring_hash import RingHash
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.cluster import Cluster
from meshproxy.upstream.dns import LogicalDns, StrictDns, lookup
from meshproxy.upstream.dns_client import DnsClient
from meshproxy.upstream.endpoint import EDS_STATUS_DRAINING
from meshproxy.upstream.original_dst import OriginalDst

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
POLICIES = "type.googleapis.com/envoy.extensions.load_balancing_policies"
CANARY = "metadata: {filter_metadata: {envoy.lb: {canary: true}}}"
DNS = "type.googleapis.com/envoy.extensions.clusters.dns.v3.DnsCluster"


ORIGINAL_DST = ("type: ORIGINAL_DST", "lb_policy: CLUSTER_PROVIDED")


@pytest.fixture
def ctx() -> Context:
    # Nothing that is built here runs: no loop is needed before it does.
    return Context(asyncio.new_event_loop())


def endpoint(address: str, port: int = 80, rest: str = "") -> str:
    return f"{{endpoint: {{address: {{socket_address: {{address: '{address}', port_value: {port}}}}}}}{rest}}}"


def assignment(*endpoints: str) -> str:
    return f"load_assignment: {{cluster_name: c, endpoints: [{{lb_endpoints: [{', '.join(endpoints)}]}}]}}"


def view_of(*fields: str) -> View:
    message, problems = parse(inline("{name: c, " + ", ".join(fields) + "}").tree, "envoy.config.cluster.v3.Cluster")
    assert not problems
    return View(message)


def build(ctx: Context, *fields: str) -> Cluster:
    """The cluster; every field must have been read, or ignored with a reason."""
    view = view_of(*fields)
    cluster = add_cluster(view, ctx)
    assert [str(problem) for problem in unread(view) if problem.severity == "error"] == []
    return cluster


@pytest.mark.parametrize("fields", [
    ("ignore_health_on_host_removal: true",),
    ("type: LOGICAL_DNS", assignment(endpoint("127.0.0.1", 0))),
])  # fmt: skip
def test_what_has_no_effect_is_accepted(ctx: Context, fields: tuple[str, ...]) -> None:
    assert build(ctx, *fields).keeps_healthy is False


def refusal(ctx: Context, *fields: str) -> str:
    with pytest.raises(ConfigError) as caught:
        add_cluster(view_of(*fields), ctx)
    return str(caught.value)


def http_options(text: str) -> str:
    return f"typed_extension_protocol_options: {{{OPTIONS}: {{'@type': type.googleapis.com/{OPTIONS}, {text}}}}}"


def test_a_static_cluster(ctx: Context) -> None:
    cluster = build(
        ctx, "alt_stat_name: other", "connect_timeout: 0.25s", "per_connection_buffer_limit_bytes: 4096",
        "metadata: {filter_metadata: {n: {a: 1}}}",
        assignment(
            endpoint("10.0.0.1"), endpoint("::1", 81), "{endpoint: {address: {pipe: {path: /run/s}}, hostname: h}}"
        ),
    )  # fmt: skip
    assert ctx.clusters.by_name == {"c": cluster}
    assert [prefix for prefix, _ in ctx.stats.groups()] == ["cluster.other"]
    assert [each.address_text for each in cluster.endpoints] == ["10.0.0.1:80", "[::1]:81", "/run/s"]
    assert cluster.endpoints[2].hostname == "h"
    assert (cluster.pool_settings.connect_timeout, cluster.pool_settings.buffer_limit) == (0.25, 4096)
    assert cluster.metadata == {"n": {"a": 1}}
    assert cluster.stats.membership_total == 3


def test_defaults_are_envoys(ctx: Context) -> None:
    cluster = build(ctx, assignment(endpoint("10.0.0.1")))
    settings = cluster.pool_settings
    assert (settings.connect_timeout, settings.idle_timeout, settings.max_requests) == (5.0, 3600.0, 0)
    assert (settings.http1.max_head, settings.http1.max_headers, settings.buffer_limit) == (80 * 1024, 100, 1 << 20)
    limits = cluster.limits[1]
    assert (limits.connections.maximum, limits.pending.maximum, limits.requests.maximum) == (1024, 1024, 1024)
    assert limits.retries.maximum == 3
    assert cluster.balancer.pick(None) is cluster.endpoints[0]


def test_endpoints_know_what_is_said_of_them(ctx: Context) -> None:
    cluster = build(
        ctx,
        "load_assignment: {cluster_name: c, endpoints: [{locality: {region: r, zone: z, sub_zone: s}, priority: 1,"
        " load_balancing_weight: 9, lb_endpoints: ["
        + endpoint("10.0.0.1", rest=f", load_balancing_weight: 5, {CANARY}")
        + ", "
        + endpoint("10.0.0.2", rest=", health_status: DRAINING")
        + "]}]}",
    )
    first, second = cluster.endpoints
    assert (first.weight, first.priority, first.locality, first.locality_weight) == (5, 1, ("r", "z", "s"), 9)
    assert first.canary and first.metadata == {"envoy.lb": {"canary": True}}
    assert second.health_flags == (EDS_STATUS_DRAINING,)
    assert cluster.stats.membership_healthy == 1


def test_circuit_breakers(ctx: Context) -> None:
    cluster = build(
        ctx,
        "circuit_breakers: {thresholds: [{max_connections: 1, max_pending_requests: 2, max_requests: 3, max_retries: 4,"
        " max_connection_pools: 5, track_remaining: true},"
        " {priority: HIGH, retry_budget: {budget_percent: {value: 7}}},"
        " {max_connections: 99}], per_host_thresholds: [{max_connections: 6}]}",
    )
    default, high = cluster.limits
    counts = (default.connections, default.pending, default.requests, default.retries, default.pools)
    assert [count.maximum for count in counts] == [1, 2, 3, 4, 5]
    assert default.track_remaining
    assert (high.retry_budget, high.retry_budget_minimum) == (7.0, 3)
    assert cluster.host_limits is not None
    assert cluster.host_limits.maximum == [6, UNLIMITED]


HTTP2_OPTIONS = (
    "{hpack_table_size: 1, max_concurrent_streams: 2, initial_stream_window_size: 65536, allow_connect: true,"
    " initial_connection_window_size: 65537, override_stream_error_on_invalid_http_message: true,"
    " max_outbound_frames: 3, max_consecutive_inbound_frames_with_empty_payload: 4, connection_keepalive:"
    " {interval: 1s, timeout: 2s, interval_jitter: {value: 3}, connection_idle_interval: 4s},"
    " custom_settings_parameters: [{identifier: 2, value: 0}, {identifier: 9, value: 10}]}"
)


@pytest.mark.parametrize(
    ("field", "protocol"),
    [
        (http_options("explicit_http_config: {http_protocol_options: {}}"), "http1"),
        (http_options(f"explicit_http_config: {{http2_protocol_options: {HTTP2_OPTIONS}}}"), "http2"),
        (http_options(f"use_downstream_protocol_config: {{http2_protocol_options: {HTTP2_OPTIONS}}}"), "downstream"),
        (f"http2_protocol_options: {HTTP2_OPTIONS}", "http2"),
        (f"http2_protocol_options: {HTTP2_OPTIONS}\nprotocol_selection: USE_DOWNSTREAM_PROTOCOL", "downstream"),
    ],
)
def test_which_protocol_it_speaks(ctx: Context, field: str, protocol: str) -> None:
    settings = build(ctx, *field.split("\n")).pool_settings
    assert settings.protocol == protocol
    if protocol == "http1":
        return
    http2 = settings.http2
    assert (http2.hpack_table_size, http2.max_concurrent_streams, http2.initial_stream_window) == (1, 2, 65536)
    assert (http2.initial_connection_window, http2.allow_connect, http2.stream_error) == (65537, True, True)
    assert (http2.max_outbound_frames, http2.max_empty_frames, http2.settings) == (3, 4, ((9, 10),))
    assert (http2.keepalive_interval, http2.keepalive_timeout, http2.keepalive_jitter) == (1.0, 2.0, 3.0)
    assert (http2.keepalive_idle, http2.max_head) == (4.0, 60 * 1024)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ("lb_policy: ROUND_ROBIN", RoundRobin),
        ("lb_policy: LEAST_REQUEST, least_request_lb_config: {choice_count: 3}", LeastRequest),
        ("lb_policy: RANDOM", Random),
        ("lb_policy: RING_HASH", RingHash),
        ("lb_policy: MAGLEV, maglev_lb_config: {table_size: 101}", Maglev),
        ("load_balancing_policy: {policies: [{typed_extension_config: {name: a, typed_config: {'@type':"
         f" {POLICIES}.random.v3.Random}}}}}}]}}", Random),
        ("load_balancing_policy: {policies: [{typed_extension_config: {name: a, typed_config: {'@type':"
         f" {POLICIES}.load_aware_locality.v3.LoadAwareLocality}}}}}},"
         " {typed_extension_config: {name: b, typed_config: {'@type':"
         f" {POLICIES}.least_request.v3.LeastRequest, selection_method: FULL_SCAN}}}}}}]}}", LeastRequest),
    ],
)  # fmt: skip
def test_balancers(ctx: Context, fields: str, kind: type) -> None:
    cluster = build(ctx, fields)
    assert isinstance(cluster.balancer._policy, kind)  # type: ignore[attr-defined]


def test_panic_threshold(ctx: Context) -> None:
    cluster = build(
        ctx, "common_lb_config: {healthy_panic_threshold: {value: 0}}",
        assignment(endpoint("10.0.0.1", rest=", health_status: UNHEALTHY")),
    )  # fmt: skip
    assert cluster.balancer.pick(None) is None


def test_http_protocol_options(ctx: Context) -> None:
    cluster = build(
        ctx,
        http_options(
            "common_http_protocol_options: {idle_timeout: 3s, max_connection_duration: 4s, max_headers_count: 5,"
            " max_connection_duration_jitter: {value: 9},"
            " max_response_headers_kb: 6, max_requests_per_connection: 7, max_stream_duration: 8s},"
            " explicit_http_config: {http_protocol_options: {enable_trailers: true, allow_chunked_length: true,"
            " send_fully_qualified_url: true,"
            " header_key_format: {proper_case_words: {}}}},"
            " http_filters: [{name: c, typed_config:"
            " {'@type': type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec}}]"
        ),
    )
    settings = cluster.pool_settings
    assert (settings.idle_timeout, settings.max_duration, settings.max_requests) == (3.0, 4.0, 7)
    assert (settings.max_stream_duration, settings.max_duration_jitter) == (8.0, 9.0)
    http1 = settings.http1
    assert (http1.max_headers, http1.max_head, http1.enable_trailers) == (5, 6144, True)
    assert (http1.allow_chunked_length, http1.send_fully_qualified_url, http1.key_format) == (True, True, "proper")


def test_older_fields_for_the_same(ctx: Context) -> None:
    cluster = build(
        ctx, "max_requests_per_connection: 2", "common_http_protocol_options: {idle_timeout: 0s}",
        "http_protocol_options: {header_key_format: {stateful_formatter: {name: p, typed_config: {'@type':"
        " type.googleapis.com/envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig}}}}",
    )  # fmt: skip
    assert (cluster.pool_settings.max_requests, cluster.pool_settings.idle_timeout) == (2, 0.0)
    assert cluster.pool_settings.http1.key_format == "preserve"


def test_the_socket_to_the_upstream(ctx: Context) -> None:
    cluster = build(
        ctx,
        "upstream_bind_config: {source_address: {address: 127.0.0.2, port_value: 0}, socket_options:"
        " [{level: 1, name: 9, int_value: 1}], extra_source_addresses: [{address: {address: '::1', port_value: 0}}]}",
        "upstream_connection_options: {tcp_keepalive: {keepalive_time: 30}}",
    )
    options = cluster.socket_options
    assert options.bind == [("127.0.0.2", 0), ("::1", 0)]
    assert [(each.level, each.name, each.value) for each in options.options] == [
        (1, 9, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    ]  # fmt: skip


def test_clusters_that_go_where_the_client_meant_to_go(ctx: Context) -> None:
    cluster = build(
        ctx, *ORIGINAL_DST, "cleanup_interval: 7s", "original_dst_lb_config: {upstream_port_override: 80}"
    )
    assert isinstance(cluster.balancer, OriginalDst) and cluster.discovery is cluster.balancer
    assert (cluster.balancer.port, cluster.balancer.cleanup_seconds, cluster.balancer.asked) == (80, 7.0, ())


def test_the_same_by_the_name_of_the_extension(ctx: Context) -> None:
    cluster = build(ctx, "cluster_type: {name: envoy.cluster.original_dst}", "lb_policy: CLUSTER_PROVIDED")
    assert isinstance(cluster.balancer, OriginalDst)


def test_dns_clusters(ctx: Context) -> None:
    cluster = build(
        ctx, "type: STRICT_DNS", "dns_refresh_rate: 2s", "dns_jitter: 1s", "dns_lookup_family: V4_ONLY",
        "dns_failure_refresh_rate: {base_interval: 3s, max_interval: 4s}", assignment(endpoint("a.test", 81)),
    )  # fmt: skip
    assert isinstance(cluster.discovery, StrictDns)
    settings = cluster.discovery._settings
    assert (settings.refresh, settings.jitter, settings.family) == (2.0, 1.0, "V4_ONLY")
    assert (settings.failure_base, settings.failure_max) == (3.0, 4.0)
    template = cluster.discovery.templates[0]
    assert (template.address, template.hostname) == (("a.test", 81), "a.test")
    assert cluster.endpoints == []


CARES = "envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
SERVERS = (("10.0.0.53", 5353),)
RESOLVER = "{socket_address: {address: 10.0.0.53, port_value: 5353}}"


def resolver(fields: str) -> str:
    return f"typed_dns_resolver_config: {{name: c, typed_config: {{'@type': type.googleapis.com/{CARES}, {fields}}}}}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("respect_dns_ttl: false", None),
        ("respect_dns_ttl: true", DnsClient()),
        (f"dns_resolvers: [{RESOLVER}]", DnsClient(SERVERS)),
        ("use_tcp_for_dns_lookups: true", DnsClient(tcp=True)),
        (f"dns_resolution_config: {{resolvers: [{RESOLVER}],"
         " dns_resolver_options: {no_default_search_domain: true}}", DnsClient(SERVERS, search=False)),
        (resolver(f"resolvers: [{RESOLVER}], query_timeout_seconds: 1, query_tries: 2, rotate_nameservers: true"),
         DnsClient(SERVERS, timeout=1.0, tries=2, rotate=True)),
        (resolver("udp_max_queries: 3"), None),
    ],
)  # fmt: skip
def test_resolvers(ctx: Context, fields: str, expected: DnsClient | None) -> None:
    discovery = build(ctx, "type: STRICT_DNS", fields, assignment(endpoint("a.test", 81))).discovery
    assert isinstance(discovery, StrictDns)
    asks = discovery._lookup
    if expected is None:
        assert asks is lookup
    else:
        assert isinstance(asks, DnsClient)
        expected.system = asks.system
        assert asks == expected


@pytest.mark.parametrize(
    ("name", "settings", "kind"),
    [
        ("envoy.cluster.dns", "all_addresses_in_single_endpoint: true", LogicalDns),
        ("envoy.cluster.dns", "dns_lookup_family: V6_ONLY", StrictDns),
        ("envoy.cluster.strict_dns", "dns_refresh_rate: 9s", StrictDns),
        ("envoy.cluster.logical_dns", "dns_refresh_rate: 9s", LogicalDns),
    ],
)
def test_dns_clusters_as_extensions(ctx: Context, name: str, settings: str, kind: type) -> None:
    custom = f"cluster_type: {{name: {name}, typed_config: {{'@type': {DNS}, {settings}}}}}"
    assert isinstance(build(ctx, custom, assignment(endpoint("a.test"))).discovery, kind)


def test_runtime_and_zone_are_the_processes(ctx: Context) -> None:
    ctx.node.zone = "here"
    cluster = build(ctx)
    assert cluster.runtime is ctx.runtime
    assert cluster.local_zone == "here"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (("type: EDS",), "type: EDS is not supported yet: STATIC, STRICT_DNS, LOGICAL_DNS and ORIGINAL_DST are"),
        (("lb_policy: MAGLEV, maglev_lb_config: {table_size: 100}",),
         "maglev_lb_config.table_size: The table size of maglev must be prime number"),
        (("lb_policy: RING_HASH, ring_hash_lb_config: {minimum_ring_size: 2, maximum_ring_size: 1}",),
         "ring_hash_lb_config.minimum_ring_size: ring hash: minimum_ring_size (2) > maximum_ring_size (1)"),
        (("load_balancing_policy: {policies: [{typed_extension_config: {name: a, typed_config: {'@type':"
          f" {POLICIES}.wrr_locality.v3.WrrLocality, endpoint_picking_policy: {{policies: [{{typed_extension_config:"
          f" {{name: b, typed_config: {{'@type': {POLICIES}.random.v3.Random}}}}}}]}}}}}}}}]}}",),
         "endpoint_picking_policy: Currently WrrLocalityLoadBalancer only supports ClientSideWeightedRoundRobin"),
        (("circuit_breakers: {per_host_thresholds: [{max_connections: 1, max_requests: 3}]}",),
         "circuit_breakers.per_host_thresholds: Unsupported field in per_host_thresholds"),
        (("lb_policy: LOAD_BALANCING_POLICY_CONFIG",), "cluster: field load_balancing_policy need to be set"),
        (("common_lb_config: {consistent_hashing_lb_config: {use_hostname_for_hashing: true}}",),
         "Cannot use hostname for consistent hashing loadbalancing for cluster of type: 'envoy.cluster.static'"),
        (("lb_policy: CLUSTER_PROVIDED",), "lb_policy: cluster provided LB specified but cluster 'c' did not provide"),
        (("type: ORIGINAL_DST",), "lb_policy: LB policy ROUND_ROBIN is not valid for Cluster type ORIGINAL_DST"),
        ((*ORIGINAL_DST, "load_assignment: {cluster_name: c}"),
         "load_assignment: ORIGINAL_DST clusters must have no load assignment configured"),
        ((*ORIGINAL_DST, "original_dst_lb_config: {http_header_name: x-to}"),
         "original_dst_lb_config.http_header_name: Set use_http_header to true"),
        ((assignment(endpoint("a.test")),), "load_assignment: malformed IP address: a.test"),
        (("type: LOGICAL_DNS", assignment(endpoint("a"), endpoint("b"))), "must have a single endpoint"),
        (("type: STRICT_DNS", "load_assignment: {cluster_name: c, endpoints: [{lb_endpoints:"
          " [{endpoint: {address: {pipe: {path: /s}}}}]}]}"), "a DNS cluster cannot have the address /s"),
        (("transport_socket: {name: t, typed_config: {'@type':"
          " type.googleapis.com/envoy.extensions.transport_sockets.tap.v3.Tap}}",),
         "transport_socket.typed_config: envoy.extensions.transport_sockets.tap.v3.Tap is not"),
        ((http_options("explicit_http_config: {http3_protocol_options: {}}"),),
         "explicit_http_config.http3_protocol_options: HTTP/3 upstreams are not supported"),
        ((http_options("auto_config: {}"),),
         "ALPN configured for cluster c which has a non-ALPN transport socket"),
        (("http2_protocol_options: {}", "http_protocol_options: {}"),
         "cluster: Both HTTP1 and HTTP2 options may only be configured with non-default 'protocol_selection' values"),
        ((http_options("explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 7,"
          " custom_settings_parameters: [{identifier: 3, value: 7}]}}"),),
         "explicit_http_config.http2_protocol_options: the {max_concurrent_streams} HTTP/2 SETTINGS parameter(s) can"
         " not be configured through both named and custom parameters"),
        (("http2_protocol_options: {custom_settings_parameters: [{identifier: 9, value: 7},"
          " {identifier: 9, value: 8}]}",),
         "inconsistent HTTP/2 custom SETTINGS parameter(s) detected; identifiers = {0x09}"),
        (("http2_protocol_options: {custom_settings_parameters: [{identifier: 2, value: 1}]}",),
         "http2_protocol_options: server push is not supported by Envoy"),
        (("http2_protocol_options: {custom_settings_parameters: [{identifier: 8, value: 1}]}",),
         'the "allow_connect" SETTINGS parameter must only be configured through the named field'),
        (("upstream_bind_config: {source_address: {address: a.test, port_value: 0}}",),
         "upstream_bind_config.source_address: malformed IP address: a.test"),
        (("cluster_type: {name: envoy.clusters.redis}",), "unsupported cluster type: envoy.clusters.redis"),
        (("cluster_type: {name: envoy.clusters.aggregate}",),
         "lb_policy: cluster manager: cluster provided LB not specified but cluster 'c' provided one"),
        (("lb_subset_config: {subset_selectors: [{keys: [a], fallback_policy: KEYS_SUBSET}]}",),
         "lb_subset_config.subset_selectors[0].fallback_keys_subset: fallback_keys_subset cannot be empty"),
        (("lb_subset_config: {locality_weight_aware: true}",),
         "Locality weight aware subset LB requires that a locality_weighted_lb_config be set in c"),
        (("lb_policy: CLUSTER_PROVIDED, lb_subset_config: {subset_selectors: [{keys: [a]}]}",),
         "lb_subset_config: cluster: LB policy CLUSTER_PROVIDED cannot be combined with lb_subset_config"),
        (("load_balancing_policy: {policies: [{typed_extension_config: {name: a, typed_config: {'@type':"
          f" {POLICIES}.load_aware_locality.v3.LoadAwareLocality}}}}}}]}}",), "none of these policies is supported"),
    ],
)  # fmt: skip
def test_what_is_refused(ctx: Context, fields: tuple[str, ...], reason: str) -> None:
    assert reason in refusal(ctx, *fields)


def test_names_are_unique(ctx: Context) -> None:
    build(ctx)
    assert "duplicate cluster 'c'" in refusal(ctx)


def test_what_nothing_reads_is_reported(ctx: Context) -> None:
    checks = "{alt_port: 1, timeout: 1s, interval: 1s, tcp_health_check: {}}"
    view = view_of("upstream_config: {}", f"health_checks: [{checks}]", "dns_refresh_rate: 5s")
    add_cluster(view, ctx)
    assert {(problem.path, problem.severity) for problem in unread(view)} == {
        ("upstream_config", "error"), ("health_checks[0].alt_port", "ignored"), ("dns_refresh_rate", "ignored"),
    }  # fmt: skip
