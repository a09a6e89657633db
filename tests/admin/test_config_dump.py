"""/config_dump: sections, masks, names, and that secrets never leave."""

from urllib.parse import quote

from google.protobuf import json_format

from meshproxy.admin.plain import plain
from meshproxy.config.types import message_class
from tests.admin.conftest import BOOTSTRAP, Client, Start

SECRETS = """
  secrets:
  - name: site
    tls_certificate:
      certificate_chain: {inline_string: public}
      private_key: {inline_string: very private}
      password: {inline_bytes: c2VjcmV0}
  - name: token
    generic_secret: {secret: {filename: /etc/token}}
"""


def sections(reply: object) -> list[str]:
    return [each["@type"].rpartition(".")[2] for each in reply.json["configs"]]  # type: ignore[attr-defined]


def test_sections_in_order(admin: Client) -> None:
    assert sections(admin("/config_dump")) == [
        "BootstrapConfigDump", "ClustersConfigDump", "ListenersConfigDump", "ScopedRoutesConfigDump",
        "RoutesConfigDump", "SecretsConfigDump",
    ]  # fmt: skip
    assert sections(admin("/config_dump?include_eds"))[2] == "EndpointsConfigDump"


def test_what_is_in_them(admin: Client) -> None:
    bootstrap, clusters, listeners, _, routes, _ = admin("/config_dump").json["configs"]
    assert bootstrap["bootstrap"]["node"]["id"] == "me"
    assert [each["cluster"]["name"] for each in clusters["static_clusters"]] == ["ratings", "reviews"]
    reviews = clusters["static_clusters"][1]["cluster"]
    assert reviews["@type"] == "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    assert reviews["connect_timeout"] == "0.250s"
    listener = listeners["static_listeners"][0]["listener"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["@type"].endswith("HttpConnectionManager")
    assert manager["stat_prefix"] == "in"
    assert routes["static_route_configs"][0]["route_config"]["name"] == "routes"
    assert routes["static_route_configs"][0]["last_updated"].endswith("Z")


def test_endpoints(admin: Client) -> None:
    configs = admin("/config_dump?include_eds").json["configs"][2]["static_endpoint_configs"]
    reviews = configs[1]["endpoint_config"]
    (group,) = reviews["endpoints"]
    assert group["locality"] == {"region": "r1", "zone": "z1"}
    assert group["lb_endpoints"][0]["health_status"] == "HEALTHY"
    assert group["lb_endpoints"][0]["endpoint"]["hostname"] == "one.local"


def test_secrets_are_redacted(start: Start) -> None:
    text = start(BOOTSTRAP + SECRETS)("/config_dump").text
    assert "very private" not in text
    assert "c2VjcmV0" not in text
    assert "/etc/token" not in text
    assert '"inline_string": "public"' in text
    assert '"inline_string": "[redacted]"' in text
    assert '"inline_bytes": "W3JlZGFjdGVkXQ=="' in text


def test_one_resource(admin: Client) -> None:
    found = admin("/config_dump?resource=static_listeners").json["configs"]
    assert found[0]["@type"] == "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.StaticListener"
    assert found[0]["listener"]["name"] == "entry"
    assert admin("/config_dump?resource=dynamic_listeners").json == {}
    unknown = admin("/config_dump?resource=foo")
    assert (unknown.status, unknown.text) == (404, "foo not found in config dump")


def test_masks(admin: Client) -> None:
    assert sections(admin("/config_dump?mask=bootstrap")) == ["BootstrapConfigDump"]
    assert admin("/config_dump?resource=static_clusters&mask=cluster.name").json["configs"][0] == {
        "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.StaticCluster",
        "cluster": {"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "ratings"},
    }
    nothing = admin("/config_dump?mask=foo")
    assert nothing.status == 400
    assert nothing.text == "FieldMask foo could not be successfully applied to any configs."


def test_names(admin: Client) -> None:
    clusters = admin("/config_dump?name_regex=rev.*").json["configs"][1]["static_clusters"]
    assert [each["cluster"]["name"] for each in clusters] == ["reviews"]
    broken = admin("/config_dump?name_regex=(")
    assert broken.status == 400
    assert broken.text == "INVALID_ARGUMENT: Error while parsing name_regex from (: missing ): ("


def test_typed_structs_are_shown_as_what_they_stand_for() -> None:
    inner = {"type_url": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors", "value": {}}
    packed = message_class("google.protobuf.Any")()
    packed.Pack(json_format.ParseDict(inner, message_class("xds.type.v3.TypedStruct")()))
    assert plain(packed) == {"@type": inner["type_url"]}


def test_what_is_packed_and_cannot_be_read() -> None:
    kind = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    packed = message_class("google.protobuf.Any")(type_url=kind, value=b"\xff\xff")
    assert plain(packed) == {"@type": kind}
    unknown = message_class("google.protobuf.Any")(type_url="example.com/no.such.Type", value=b"secret")
    assert plain(unknown) == {"@type": "example.com/no.such.Type"}


def test_names_are_in_utf8(start: Start) -> None:
    admin = start(BOOTSTRAP.replace("reviews", "\u8a55\u50f9"))
    name = "\u8a55\u50f9"
    (found,) = admin(f"/config_dump?resource=static_clusters&name_regex={quote(name)}").json["configs"]
    assert found["cluster"]["name"] == name
    assert admin(f"/clusters?filter={quote(name)}").text.startswith(f"{name}::observability_name::{name}\n")
