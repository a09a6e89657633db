"""What a builder sees of a message, and the report of what no builder saw."""

import gc
from collections.abc import Iterator

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from meshproxy.config.api import API
from meshproxy.config.bootstrap import BOOTSTRAP
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse
from meshproxy.config.source import inline
from meshproxy.config.types import message_class
from meshproxy.config.view import View, unread

CLUSTER = "envoy.config.cluster.v3.Cluster"
ROUTE = "envoy.config.route.v3.Route"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def view(text: str, name: str = CLUSTER, where: str = "") -> View:
    message, problems = parse(inline(text).tree, name)
    assert not problems
    return View(message, where)


def report(root: View) -> list[str]:
    return [problem.path for problem in unread(root)]


def test_values_by_their_kind() -> None:
    cluster = view(
        "{name: a, type: STRICT_DNS, connect_timeout: 0.25s, per_connection_buffer_limit_bytes: 7,"
        " load_assignment: {cluster_name: b, endpoints: [{priority: 1}, {priority: 2}]},"
        " metadata: {filter_metadata: {x: {}, y: {}}}, lb_subset_config: {subset_selectors: [{keys: [k, l]}]}}"
    )
    assert (cluster.name, cluster.type, cluster.enum("type")) == ("a", 1, "STRICT_DNS")
    assert (cluster.connect_timeout, cluster.dns_refresh_rate) == (0.25, None)
    assert (cluster.seconds("connect_timeout"), cluster.seconds("dns_refresh_rate", 5.0)) == (0.25, 5.0)
    assert (cluster.per_connection_buffer_limit_bytes, cluster.get("per_connection_buffer_limit_bytes", 1)) == (7, 7)
    assert [endpoint.priority for endpoint in cluster.load_assignment.endpoints] == [1, 2]
    assert sorted(cluster.metadata.filter_metadata) == ["x", "y"]
    assert cluster.lb_subset_config.subset_selectors[0].keys == ["k", "l"]
    assert cluster.which("cluster_discovery_type") == "type"
    assert cluster.type_name == CLUSTER


def test_what_is_unset() -> None:
    cluster = view("{name: a}")
    assert not cluster.load_assignment
    assert cluster.load_assignment.endpoints == []
    assert not cluster.has("load_assignment")
    assert cluster.get("per_connection_buffer_limit_bytes", 5) == 5
    assert cluster.which("cluster_discovery_type") is None


def test_a_message_that_is_set_but_empty_is_true() -> None:
    assert view("{load_assignment: {}}").load_assignment


def test_an_unknown_field_is_a_bug_in_the_builder() -> None:
    with pytest.raises(AttributeError, match="Cluster has no field 'nme'"):
        view("{}").nme  # noqa: B018


def test_an_enum_number_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"lb_policy: no value of .*LbPolicy has the number 99"):
        view("{lb_policy: 99}").enum("lb_policy")


def test_nothing_read_is_one_line_per_field() -> None:
    cluster = view("{name: a, load_assignment: {cluster_name: b, endpoints: [{}]}}")
    assert report(cluster) == ["name", "load_assignment"]


def test_reading_a_message_is_not_reading_what_is_in_it() -> None:
    assignment = "{cluster_name: b, policy: {overprovisioning_factor: 1}, endpoints: [{}, {priority: 3}]}"
    cluster = view(f"{{load_assignment: {assignment}}}")
    assert cluster.load_assignment.cluster_name == "b"
    assert report(cluster) == ["load_assignment.endpoints", "load_assignment.policy"]
    assert len(cluster.load_assignment.endpoints) == 2
    assert report(cluster) == ["load_assignment.endpoints[1].priority", "load_assignment.policy"]


def test_asking_for_presence_does_not_read_what_is_inside() -> None:
    route = view("{match: {prefix: /}, route: {cluster: a}}", ROUTE)
    assert route.which("action") == "route"
    assert route.has("match")
    assert report(route) == ["match.prefix", "route.cluster"]


def test_take_reads_everything() -> None:
    route = view("{match: {prefix: /}, route: {cluster: a, timeout: 1s}}", ROUTE)
    assert route.route.take().cluster == "a"
    assert report(route) == ["match"]


def test_an_ignored_field_is_a_warning_where_it_is_set() -> None:
    cluster = view("{name: a, alt_stat_name: b}")
    assert cluster.name == "a"
    cluster.ignore("alt_stat_name", "upstream_bind_config", why="no such statistics here")
    (problem,) = unread(cluster)
    assert (problem.path, problem.severity) == ("alt_stat_name", "ignored")
    assert "no such statistics here" in problem.reason


def test_maps_of_messages_are_read_entry_by_entry() -> None:
    config = f"{{'@type': {ROUTER}, suppress_envoy_headers: true}}"
    route = view(f"{{match: {{prefix: /}}, typed_per_filter_config: {{a: {config}}}}}", ROUTE)
    assert route.match.prefix == "/"
    packed = route.typed_per_filter_config["a"]
    assert packed.type_name == "envoy.extensions.filters.http.router.v3.Router"
    assert report(route) == ["typed_per_filter_config['a']"]
    router = packed.unpack()
    assert report(route) == ["typed_per_filter_config['a'].suppress_envoy_headers"]
    assert router.suppress_envoy_headers is True
    assert report(route) == []
    assert router.where == "typed_per_filter_config['a']"


def test_an_unknown_type_names_the_place() -> None:
    packed = message_class("google.protobuf.Any")(type_url="type.googleapis.com/no.Such")
    with pytest.raises(ConfigError, match=r"^here: unknown type 'no.Such'$"):
        View(packed, "here").unpack()


def test_bytes_that_are_no_message_name_the_place() -> None:
    packed = message_class("google.protobuf.Any")(type_url=ROUTER, value=b"\xff\xff")
    with pytest.raises(ConfigError, match=r"^here: these bytes are no envoy"):
        View(packed, "here").unpack()


def test_a_broken_envelope_names_the_place() -> None:
    url = "type.googleapis.com/udpa.type.v1.TypedStruct"
    packed = message_class("google.protobuf.Any")(type_url=url, value=b"\xff\xff")
    with pytest.raises(ConfigError, match=r"^here: these bytes are no udpa"):
        _ = View(packed, "here").type_name


def test_a_typed_struct_from_the_wire_is_its_message() -> None:
    name = "envoy.extensions.filters.http.router.v3.Router"
    envelope = message_class("udpa.type.v1.TypedStruct")(type_url=f"type.googleapis.com/{name}")
    envelope.value.update({"suppressEnvoyHeaders": True, "dynamic_stats": False})
    packed = message_class("google.protobuf.Any")()
    packed.Pack(envelope)
    root = View(packed, "config")
    assert root.type_name == name
    assert (root.unpack().suppress_envoy_headers, root.unpack().dynamic_stats) == (True, False)


def test_a_typed_struct_of_an_unknown_type_stays_what_it_is() -> None:
    envelope = message_class("xds.type.v3.TypedStruct")(type_url="type.googleapis.com/my.Own")
    envelope.value.update({"a": 1})
    packed = message_class("google.protobuf.Any")()
    packed.Pack(envelope)
    root = View(packed)
    assert root.type_name == "my.Own"
    assert root.unpack().value.take().fields["a"].number_value == 1


def test_errors_carry_the_whole_path() -> None:
    listeners = "{static_resources: {listeners: [{name: http, filter_chains: [{filters: [{name: x}]}]}]}}"
    bootstrap = view(listeners, BOOTSTRAP)
    used = bootstrap.static_resources.listeners[0].filter_chains[0].filters[0]
    assert used.where == "static_resources.listeners['http'].filter_chains[0].filters[0]"
    with pytest.raises(ConfigError) as rejected:
        used.reject("name", "not here")
    assert str(rejected.value) == f"{used.where}.name: not here"
    with pytest.raises(ConfigError) as refused, used.at("typed_config"):
        raise ValueError("no")
    assert str(refused.value) == f"{used.where}.typed_config: no"


def test_no_field_of_the_api_hides_behind_a_method() -> None:
    own = {name for name in dir(View) if not name.startswith("_")}
    fields = set(_field_names())
    assert len(fields) > 1000
    assert own >= {"has", "which", "get", "seconds", "enum", "take", "unpack", "ignore", "reject", "at", "where"}
    assert own & fields == {"get"}  # of a filter for MCP alone


def _field_names() -> Iterator[str]:
    for file in FileDescriptorSet.FromString(API.read_bytes()).file:
        messages = list(file.message_type) if file.name.startswith(("envoy/", "udpa/", "xds/")) else []
        while messages:
            message = messages.pop()
            messages.extend(message.nested_type)
            yield from (field.name for field in message.field)


def test_what_is_settled_keeps_its_report_and_nothing_else() -> None:
    cluster = view("{name: a, load_assignment: {cluster_name: b, endpoints: [{priority: 1, proximity: 2}]}}")
    assert (cluster.name, cluster.load_assignment.cluster_name) == ("a", "b")
    assert cluster.load_assignment.endpoints[0].priority == 1
    gc.collect()
    gc.disable()
    try:
        before = views()
        cluster.settle()
        assert views() == before - 2
    finally:
        gc.enable()
    assert report(cluster) == ["load_assignment.endpoints[0].proximity"]


def views() -> int:
    return sum(isinstance(each, View) for each in gc.get_objects())
