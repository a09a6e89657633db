"""Trees that become messages, and every fault that is found in one on the way."""

from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from meshproxy.config.api import api_pool
from meshproxy.config.bootstrap import BOOTSTRAP
from meshproxy.config.packed import unpack
from meshproxy.config.parse import parse
from meshproxy.config.rules import check_rules
from meshproxy.config.source import inline
from meshproxy.config.types import message_class
from meshproxy.config.view import View, unread
from tests.config.cases import HCM, routes

CLUSTER = "envoy.config.cluster.v3.Cluster"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def message(text: str, name: str = CLUSTER) -> Any:
    found, problems = parse(inline(text).tree, name)
    assert [str(problem) for problem in problems] == []
    return found


def faults(text: str, name: str = CLUSTER, **options: Any) -> list[str]:
    return [str(problem) for problem in parse(inline(text).tree, name, **options)[1]]


def test_the_result_is_that_of_protobuf_s_own_parser() -> None:
    text = routes("{match: {prefix: /, headers: [{name: a}]}, route: {cluster: b, timeout: 1.5s}}")
    tree = inline(text.replace("'*'", "['*']")).tree
    expected = json_format.ParseDict(tree, message_class(BOOTSTRAP)(), descriptor_pool=api_pool())
    assert parse(tree, BOOTSTRAP)[0].SerializeToString(deterministic=True) == expected.SerializeToString(
        deterministic=True
    )


def test_all_faults_at_once_each_with_its_path() -> None:
    said = faults(
        "{static_resources: {clusters: [{name: a, tpye: STATIC, connect_timeout: 5, type: NONE,"
        " circuitBreakers: {thresholds: [{maxRequests: x}, 5]}}, {name: [b]}],"
        " listeners: {name: http, address: {pipe: {path: a, mode: -1}, socket_address: {}}}}, node: []}",
        BOOTSTRAP,
    )
    assert said == [
        "static_resources.clusters['a'].tpye: envoy.config.cluster.v3.Cluster has no such field (did you mean 'type'?)",
        "static_resources.clusters['a'].connect_timeout: expected a duration such as 0.25s, got the number 5",
        "static_resources.clusters['a'].type: 'NONE' is not one of STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST",
        "static_resources.clusters['a'].circuit_breakers.thresholds[0].max_requests:"
        " expected a whole number, got the text 'x'",
        "static_resources.clusters['a'].circuit_breakers.thresholds[1]:"
        " expected a mapping (envoy.config.cluster.v3.CircuitBreakers.Thresholds), got the number 5",
        "static_resources.clusters[1].name: expected text, got a list",
        "static_resources.listeners['http'].address.pipe.mode: -1 is out of range: expected 0 to 4294967295",
        "static_resources.listeners['http'].address.socket_address: only one of 'pipe' and 'socket_address' may be set",
        "node: expected a mapping (envoy.config.core.v3.Node), got a list",
    ]


def test_unknown_fields_can_be_warnings() -> None:
    (problem,) = parse({"a": 1}, CLUSTER, allow_unknown=True)[1]
    assert (problem.path, problem.severity) == ("a", "ignored")


def test_so_can_unknown_names_of_enums() -> None:
    found, problems = parse({"name": "a", "type": "NEW"}, CLUSTER, allow_unknown=True)
    assert [(problem.path, problem.severity) for problem in problems] == [("type", "ignored")]
    assert (found.name, found.WhichOneof("cluster_discovery_type")) == ("a", None)


def test_text_says_how_to_write_it() -> None:
    assert faults("name: 5") == ["name: expected text, got the number 5 (quote it)"]
    assert faults("name: yes") == ["name: expected text, got true (quote it)"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{x: 1}", "the @type is missing"),
        ("{'@type': 5}", "the @type must be text, not the number 5"),
        ("{'@type': foo.Bar}", "the @type must look like type.googleapis.com/package.Message, not 'foo.Bar'"),
        ("{'@type': type.googleapis.com/foo.Bar}", "unknown type 'foo.Bar'"),
        ("5", "expected a mapping with an @type, got the number 5"),
        (
            "{'@type': type.googleapis.com/google.protobuf.Struct, x: 1}",
            "a google.protobuf.Struct is written as its 'value'",
        ),
        ("{'@type': type.googleapis.com/google.protobuf.Duration, value: x}", "expected a duration such as 0.25s"),
    ],
)
def test_an_any_that_cannot_be_packed(config: str, said: str) -> None:
    (fault,) = faults(f"typed_extension_protocol_options: {{a.b: {config}}}")
    assert fault.startswith(f"typed_extension_protocol_options['a.b']: {said}")


def test_faults_inside_an_any() -> None:
    said = faults(f"typed_extension_protocol_options: {{a: {{'@type': {ROUTER}, suppress_envoy_header: 1}}}}")
    assert said == [
        "typed_extension_protocol_options['a'].suppress_envoy_header: envoy.extensions.filters.http.router.v3.Router"
        " has no such field (did you mean 'suppress_envoy_headers'?)"
    ]


@pytest.mark.parametrize("envelope", ["udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"])
@pytest.mark.parametrize("key", ["type_url", "typeUrl"])
def test_a_typed_struct_is_its_message(envelope: str, key: str) -> None:
    value = f"{{{key}: {ROUTER}, '@type': type.googleapis.com/{envelope}, value: {{suppressEnvoyHeaders: true}}}}"
    packed = message(f"typed_extension_protocol_options: {{a: {value}}}").typed_extension_protocol_options["a"]
    assert packed.type_url == ROUTER
    assert unpack(packed).suppress_envoy_headers


def test_faults_in_a_typed_struct_are_those_of_its_message() -> None:
    value = (
        f"{{'@type': type.googleapis.com/udpa.type.v1.TypedStruct, type_url: {ROUTER}, value: {{dynamic_stats: 5}}}}"
    )
    assert faults(f"typed_extension_protocol_options: {{a: {value}}}") == [
        "typed_extension_protocol_options['a'].dynamic_stats: expected true or false, got the number 5"
    ]


def test_a_typed_struct_of_an_unknown_type_is_kept() -> None:
    value = "{'@type': type.googleapis.com/udpa.type.v1.TypedStruct, type_url: x/my.Own, value: {a: 1.5, b: [~]}}"
    packed = message(f"typed_extension_protocol_options: {{a: {value}}}").typed_extension_protocol_options["a"]
    assert json_format.MessageToDict(unpack(packed)) == {"typeUrl": "x/my.Own", "value": {"a": "1.5", "b": [None]}}


def test_struct_values_of_every_kind() -> None:
    text = "metadata: {a: 1, b: x, c: [true, ~, {d: {}}], e: ~}"
    metadata = message(text, "envoy.config.core.v3.Node").metadata
    assert json_format.MessageToDict(metadata) == {"a": 1, "b": "x", "c": [True, None, {"d": {}}], "e": None}


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        [HCM, ROUTER, "1s", "STATIC", "type.googleapis.com/udpa.type.v1.TypedStruct", "a/google.protobuf.Any"]
    )
)
KEYS = st.text(max_size=3) | st.sampled_from(["name", "@type", "value", "type_url", "address", "fields", "seconds"])
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2), max_leaves=6
)


@settings(max_examples=200)
@given(st.data())
def test_no_tree_does_more_than_be_refused(data: st.DataObject) -> None:
    tree = inline(routes("{match: {prefix: /, headers: [{name: a}]}, route: {cluster: b, timeout: 1.5s}}")).tree
    for _ in range(data.draw(st.integers(1, 4))):
        container = data.draw(st.sampled_from(list(containers(tree))))
        if isinstance(container, dict):
            container[data.draw(st.sampled_from(list(container)) | KEYS if container else KEYS)] = data.draw(TREES)
        else:
            container.append(data.draw(TREES))
    found, problems = parse(tree, BOOTSTRAP)
    assert all(problem.reason and "\n" not in str(problem) for problem in problems)
    assert all(problem.reason for problem in check_rules(found))
    assert all(problem.path for problem in unread(View(found)))


def containers(tree: Any) -> Iterator[Any]:
    """Every mapping and list in a tree."""
    if isinstance(tree, dict | list):
        yield tree
        for child in tree.values() if isinstance(tree, dict) else tree:
            yield from containers(child)
