"""What Istio's tools need of the admin interface: `istioctl proxy-config` and the agent beside the proxy.

istioctl reads /config_dump as an envoy.admin.v3.ConfigDump, every Any in it by its type, and fails for what it does not
know. It looks at the names of resources, at `filter_metadata.istio`, and at which list an entry stands in.
"""

import json
from typing import Any

import pytest
from google.protobuf import json_format

from meshproxy.config.api import api_pool
from meshproxy.config.types import message_class
from tests.admin.conftest import Client, Start

HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
REVIEWS = "outbound|9080|v2|reviews.default.svc.cluster.local"
RULE = "/apis/networking.istio.io/v1alpha3/namespaces/default/destination-rule/reviews"

# As Istio names and writes things.
BOOTSTRAP = f"""
node:
  id: sidecar~10.1.0.5~productpage-v1.default~default.svc.cluster.local
  cluster: productpage.default
  metadata: {{ISTIO_VERSION: 1.31.0, NAMESPACE: default, LABELS: {{app: productpage}}}}
admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}
static_resources:
  secrets:
  - name: default
    tls_certificate: {{certificate_chain: {{inline_bytes: cHVibGlj}}, private_key: {{inline_bytes: c2VjcmV0}}}}
  - name: ROOTCA
    validation_context: {{trusted_ca: {{inline_bytes: cHVibGlj}}}}
  clusters:
  - name: {REVIEWS}
    type: STATIC
    connect_timeout: 10s
    alt_stat_name: {REVIEWS};
    metadata: {{filter_metadata: {{istio: {{subset: v2, config: {RULE}, services: [{{host: reviews}}]}}}}}}
    load_assignment:
      cluster_name: {REVIEWS}
      endpoints:
      - locality: {{region: r1, zone: z1}}
        lb_endpoints:
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 9080}}}}}}
          metadata: {{filter_metadata: {{istio: {{workload: reviews-v2;default;reviews;v2;Kubernetes}}}}}}
        - endpoint: {{address: {{socket_address: {{address: 127.0.0.2, port_value: 9080}}}}}}
          health_status: UNHEALTHY
  - {{name: BlackHoleCluster, type: STATIC, connect_timeout: 10s}}
  listeners:
  - name: virtualOutbound
    address: {{socket_address: {{address: 127.0.0.1, port_value: 15001}}}}
    traffic_direction: OUTBOUND
    filter_chains:
    - name: virtualOutbound-blackhole
      filter_chain_match: {{destination_port: 15001}}
      filters:
      - {{name: tcp, typed_config: {{"@type": {TCP}, stat_prefix: BlackHoleCluster, cluster: BlackHoleCluster}}}}
  - name: 0.0.0.0_9080
    address: {{socket_address: {{address: 0.0.0.0, port_value: 9080}}}}
    bind_to_port: false
    filter_chains:
    - filter_chain_match: {{transport_protocol: raw_buffer, application_protocols: [http/1.1]}}
      filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {HTTP}
          stat_prefix: outbound_0.0.0.0_9080;
          route_config:
            name: "9080"
            virtual_hosts:
            - name: reviews.default.svc.cluster.local:9080
              domains: [reviews]
              routes:
              - name: default
                match: {{prefix: /}}
                route: {{cluster: "{REVIEWS}", timeout: 0s}}
                metadata: {{filter_metadata: {{istio: {{config: /apis/x/v1/namespaces/default/virtual-service/r}}}}}}
          http_filters: [{{name: router, typed_config: {{"@type": {ROUTER}}}}}]
"""


@pytest.fixture
def istio(start: Start) -> Client:
    return start(BOOTSTRAP)


def read(name: str, text: str) -> Any:
    """As Go's protojson reads it: unknown fields and types are errors."""
    return json_format.Parse(text, message_class(f"envoy.admin.v3.{name}")(), descriptor_pool=api_pool())


def section(dump: Any, name: str) -> Any:
    (found,) = [each for each in dump.configs if each.type_url.endswith(f".{name}ConfigDump")]
    message = message_class(f"envoy.admin.v3.{name}ConfigDump")()
    found.Unpack(message)
    return message


def unpacked(packed: Any) -> Any:
    message = message_class(packed.type_url.rpartition("/")[2])()
    packed.Unpack(message)
    return message


def test_the_dump_is_what_was_configured(istio: Client) -> None:
    """Every message comes out again as it went in, but for what is secret."""
    dump = read("ConfigDump", istio("/config_dump?include_eds=true").text)
    static = istio.process.bootstrap.static_resources
    assert [unpacked(each.listener) for each in section(dump, "Listeners").static_listeners] == list(static.listeners)
    clusters = {each.name: each for each in static.clusters}
    assert {(it := unpacked(each.cluster)).name: it for each in section(dump, "Clusters").static_clusters} == clusters
    (routes,) = section(dump, "Routes").static_route_configs
    assert unpacked(routes.route_config).virtual_hosts[0].routes[0].route.cluster == REVIEWS
    assert [each.name for each in section(dump, "Secrets").static_secrets] == ["default", "ROOTCA"]
    bootstrap = section(dump, "Bootstrap").bootstrap
    assert bootstrap.node.metadata["ISTIO_VERSION"] == "1.31.0"
    assert bootstrap.node.user_agent_build_version.version.major_number == 1
    assert section(dump, "Endpoints").static_endpoint_configs


def test_keys_do_not_leave(istio: Client) -> None:
    dump = istio("/config_dump")
    assert "c2VjcmV0" not in dump.text
    own = unpacked(section(read("ConfigDump", dump.text), "Secrets").static_secrets[0].secret)
    assert own.tls_certificate.private_key.inline_bytes == b"[redacted]"
    assert own.tls_certificate.certificate_chain.inline_bytes == b"public"


@pytest.mark.parametrize(
    "mask, kinds",
    [
        ("bootstrap", ["Bootstrap"]),
        ("dynamic_active_clusters,static_clusters", ["Clusters"]),
        ("dynamic_listeners,static_listeners", ["Listeners"]),
        ("dynamic_route_configs,static_route_configs", ["Routes"]),
        ("dynamic_active_secrets,dynamic_warming_secrets", ["Secrets"]),
    ],
)
def test_the_masks_that_istioctl_asks_with(istio: Client, mask: str, kinds: list[str]) -> None:
    dump = read("ConfigDump", istio(f"/config_dump?mask={mask}").text)
    assert [each.type_url.rpartition(".")[2] for each in dump.configs] == [f"{kind}ConfigDump" for kind in kinds]


def test_endpoints(istio: Client) -> None:
    clusters = read("Clusters", istio("/clusters?format=json").text)
    healthy, failed = clusters.cluster_statuses[0].host_statuses
    status = healthy.DESCRIPTOR.fields_by_name["health_status"].message_type.fields_by_name["eds_health_status"]
    names = status.enum_type.values_by_number
    assert names[healthy.health_status.eds_health_status].name == "HEALTHY"
    assert names[failed.health_status.eds_health_status].name == "UNHEALTHY"
    assert healthy.address.socket_address.port_value == 9080


def test_other_pages_are_their_messages(istio: Client) -> None:
    info = read("ServerInfo", istio("/server_info").text)
    assert info.node.id.startswith("sidecar~")
    assert info.command_line_options.drain_time.seconds == 600
    read("Listeners", istio("/listeners?format=json").text)
    read("Certificates", istio("/certs").text)
    read("Memory", istio("/memory").text)
    read("UnreadyTargetsDumps", istio("/init_dump").text)


def test_levels_as_istioctl_reads_them(istio: Client) -> None:
    first, *lines = istio.post("/logging").text.rstrip("\n").splitlines()
    assert first == "active loggers:"
    assert all(line.startswith("  ") and len(line.split(": ")) == 2 for line in lines)


def test_what_the_agent_asks(istio: Client) -> None:
    """pilot-agent drains with this request, and reads whether anybody is still connected in these stats."""
    assert istio.post("/drain_listeners?inboundonly&graceful").text == "OK\n"
    assert istio.post("/drain_listeners?inboundonly&graceful&skip_exit").text == "OK\n"
    assert istio.process.told == [(True, False, True), (True, True, True)]
    for line in istio("/stats?usedonly&filter=downstream_cx_active$").text.splitlines():
        name, _, number = line.partition(": ")
        assert name.endswith("downstream_cx_active")
        assert int(number) >= 0
    assert json.loads(istio("/server_info").text)["state"] == "LIVE"
