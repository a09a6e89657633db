"""Sections with resources that a discovery server sent: active, warming, draining and refused ones."""

import json
from typing import Any

from google.protobuf import json_format

from meshproxy.admin.config_sections import (
    Refusal,
    Resource,
    Section,
    clusters_section,
    listeners_section,
    routes_section,
    secrets_section,
)
from meshproxy.admin.json_page import dump
from meshproxy.config.api import api_pool
from meshproxy.config.types import message_class

AT = 1_700_000_000.25
WHEN = "2023-11-14T22:13:20.250Z"


def made(kind: str, name: str, **fields: Any) -> Any:
    return message_class(f"envoy.{kind}")(name=name, **fields)


def cluster(name: str) -> Any:
    return made("config.cluster.v3.Cluster", name)


def listener(name: str) -> Any:
    return made("config.listener.v3.Listener", name)


def tree(section: Section) -> Any:
    """As it is written; it has to be the message that it says it is."""
    written = "".join(dump(section.tree()))
    packed = json_format.Parse(written, message_class("google.protobuf.Any")(), descriptor_pool=api_pool())
    assert packed.type_url == f"type.googleapis.com/envoy.admin.v3.{section.kind}"
    return json.loads(written)


def test_clusters() -> None:
    found = tree(
        clusters_section(
            [
                Resource(cluster("c"), AT, "active", "7"),
                Resource(cluster("s"), AT),
                Resource(cluster("a"), AT, "active", "6", Refusal("no such thing", AT + 1, "7", cluster("a"))),
                Resource(cluster("w"), AT, "warming", "7"),
            ],
            "7",
        )
    )
    assert found.pop("@type") == "type.googleapis.com/envoy.admin.v3.ClustersConfigDump"
    assert list(found) == ["version_info", "static_clusters", "dynamic_active_clusters", "dynamic_warming_clusters"]
    kind = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    first, second = found["dynamic_active_clusters"]
    assert second == {"version_info": "7", "cluster": {"@type": kind, "name": "c"}, "last_updated": WHEN}
    assert list(first) == ["version_info", "cluster", "last_updated", "error_state"]
    assert first["error_state"] == {
        "failed_configuration": {"@type": kind, "name": "a"},
        "last_update_attempt": WHEN.replace("20.", "21."),
        "details": "no such thing",
        "version_info": "7",
    }
    assert found["static_clusters"] == [{"cluster": {"@type": kind, "name": "s"}, "last_updated": WHEN}]


def test_listeners_are_one_entry_with_their_states() -> None:
    refusal = Refusal("no such filter", AT)
    found = tree(
        listeners_section(
            [
                Resource(listener("l"), AT, "active", "1"),
                Resource(listener("l"), AT, "draining", "0"),
                Resource(listener("l"), AT, "warming", "2"),
                Resource(listener("static"), AT),
                Resource(listener("bad"), AT, "error", refusal=refusal),
            ]
        )
    )
    assert list(found) == ["@type", "static_listeners", "dynamic_listeners"]
    both, bad = found["dynamic_listeners"]
    assert list(both) == ["name", "active_state", "warming_state", "draining_state"]
    assert [both[f"{state}_state"]["version_info"] for state in ("active", "warming", "draining")] == ["1", "2", "0"]
    assert both["active_state"]["listener"]["name"] == "l"
    assert both["active_state"]["last_updated"] == WHEN
    assert bad == {"name": "bad", "error_state": {"last_update_attempt": WHEN, "details": "no such filter"}}


def test_routes() -> None:
    table = made("config.route.v3.RouteConfiguration", "8080")
    found = tree(routes_section(iter([Resource(table, AT)]), [Resource(table, AT, "active", "1")]))
    assert list(found) == ["@type", "static_route_configs", "dynamic_route_configs"]
    assert found["dynamic_route_configs"][0]["route_config"]["name"] == "8080"
    assert list(tree(routes_section(iter([])))) == ["@type"]


def test_secrets_keep_what_is_secret() -> None:
    def secret(name: str, **fields: Any) -> Any:
        return made("extensions.transport_sockets.tls.v3.Secret", name, **fields)

    ca = secret("ROOTCA", validation_context={"trusted_ca": {"inline_bytes": b"public"}})
    pair = {"certificate_chain": {"inline_bytes": b"public"}, "private_key": {"inline_bytes": b"very private"}}
    own = secret("default", tls_certificate=pair)
    found = tree(secrets_section([Resource(ca, AT, "warming"), Resource(own, AT, "active", "1"), Resource(own, AT)]))
    assert list(found) == ["@type", "static_secrets", "dynamic_active_secrets", "dynamic_warming_secrets"]
    (active,) = found["dynamic_active_secrets"]
    assert list(active) == ["name", "version_info", "last_updated", "secret"]
    assert active["secret"]["tls_certificate"] == {
        "certificate_chain": {"inline_bytes": "cHVibGlj"},
        "private_key": {"inline_bytes": "W3JlZGFjdGVkXQ=="},
    }
    assert "last_updated" not in found["static_secrets"][0]
