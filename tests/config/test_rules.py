"""Constraints of the descriptors, and what is said of a field that breaks one. Verdicts like Envoy's: `cases.py`."""

from typing import Any

import pytest

from meshproxy.config.checks import checks
from meshproxy.config.parse import parse
from meshproxy.config.rules import check_rules
from meshproxy.config.source import inline
from meshproxy.config.types import message_class
from tests.config.cases import routes

CLUSTER = "envoy.config.cluster.v3.Cluster"
BOOTSTRAP = "envoy.config.bootstrap.v3.Bootstrap"


def broken(text: str, name: str = CLUSTER) -> list[str]:
    message, problems = parse(inline(text).tree, name)
    assert not problems
    return [str(problem) for problem in check_rules(message)]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("connect_timeout: 0s", "connect_timeout: value must be greater than 0s"),
        ("type: 9", "type: value must be one of the defined enum values"),
        ("dns_refresh_rate: 0.0001s", "dns_refresh_rate: value must be greater than 0.001s"),
        (
            "outlier_detection: {max_ejection_percent: 101}",
            "outlier_detection.max_ejection_percent: value must be less than or equal to 100",
        ),
        (
            "common_lb_config: {healthy_panic_threshold: {value: 100.5}}",
            "common_lb_config.healthy_panic_threshold.value: value must be inside range [0, 100]",
        ),
        ("lb_subset_config: {fallback_policy: 7}", "lb_subset_config.fallback_policy: value must be one of"),
        ("load_assignment: {}", "load_assignment.cluster_name: value length must be at least 1 characters"),
        (
            "load_assignment: {cluster_name: a, named_endpoints: {x: {health_check_config: {port_value: 65536}}}}",
            "load_assignment.named_endpoints['x'].health_check_config.port_value: value must be less than",
        ),
        ("metadata: {filter_metadata: {'': {}}}", "metadata.filter_metadata['']: value length must be at least 1"),
        ("dns_resolvers: [{}]", "dns_resolvers[0]: one of these fields is required: socket_address, pipe, envoy_int"),
    ],
)
def test_what_is_said(field: str, said: str) -> None:
    (text,) = broken(f"{{name: a, {field}}}")
    assert text.startswith(said)


def test_everything_is_reported_and_inside_any_too() -> None:
    said = broken(routes("{match: {headers: [{}]}}, {match: {prefix: /}, redirect: {response_code: 9}}"), BOOTSTRAP)
    path = (
        "static_resources.listeners['http'].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts['all']"
    )
    assert [text.removeprefix(path) for text in said] == [
        ".routes[0].match.headers[0].name: value length must be at least 1 characters",
        ".routes[0].match: one of these fields is required: prefix, path, safe_regex, connect_matcher,"
        " path_separated_prefix, path_match_policy",
        ".routes[0]: one of these fields is required: route, redirect, direct_response, filter_action,"
        " non_forwarding_action",
        ".routes[1].redirect.response_code: value must be one of the defined enum values",
    ]


def test_what_is_right_says_nothing() -> None:
    assert broken(routes("{match: {prefix: /}, direct_response: {status: 200}}"), BOOTSTRAP) == []


def test_a_field_that_the_descriptor_says_to_skip() -> None:
    assert broken("{entry: {key: ''}}", "envoy.config.core.v3.KeyValueAppend") == []


def rules(kind: str, **limits: Any) -> Any:
    return message_class(f"validate.{kind}")(**limits)


@pytest.mark.parametrize(
    ("kind", "limits", "good", "bad"),
    [
        ("UInt32Rules", {"const": 5}, [5], [4]),
        ("UInt32Rules", {"in": [1, 2]}, [1], [3]),
        ("UInt32Rules", {"not_in": [1, 2]}, [3], [1]),
        ("Int32Rules", {"gt": 1, "lt": 5}, [2, 4], [1, 5]),
        ("Int32Rules", {"gte": 5, "lte": 1}, [5, 1, 0], [2, 4]),
        ("DoubleRules", {"gte": 0, "lte": 1}, [0.0, 1.0, float("nan")], [-0.1, 1.1]),
        ("StringRules", {"len": 2}, ["ab", "éé"], ["a", "abc"]),
        ("StringRules", {"max_bytes": 2}, ["ab", "é"], ["éé"]),
        ("StringRules", {"len_bytes": 2}, ["é"], ["e"]),
        ("StringRules", {"min_len": 2, "ignore_empty": True}, ["", "ab"], ["a"]),
        ("StringRules", {"pattern": "^[a-z]+$"}, ["ab"], ["", "a\n", "A"]),
        ("StringRules", {"prefix": "a", "suffix": "c", "contains": "b"}, ["abc"], ["bc", "ab", "ac"]),
        ("StringRules", {"not_contains": "b"}, ["ac"], ["abc"]),
        ("StringRules", {"ip": True}, ["1.2.3.4", "::1"], ["1.2.3", "a"]),
        ("StringRules", {"ipv4": True}, ["1.2.3.4"], ["::1"]),
        ("StringRules", {"ipv6": True}, ["::1"], ["1.2.3.4"]),
        ("StringRules", {"hostname": True}, ["a.b-c.", "x"], ["-a", "a..b", "", "a" * 64]),
        ("StringRules", {"address": True}, ["a.b", "::1"], ["-a"]),
        ("StringRules", {"uri": True}, ["http://x/y"], ["/y"]),
        ("StringRules", {"uri_ref": True}, ["/y"], ["http://[x"]),
        ("StringRules", {"uuid": True}, ["00000000-0000-0000-0000-00000000000f"], ["x", "0" * 32]),
        ("StringRules", {"well_known_regex": 1}, ["x-a", ":path"], ["", "a b", "a\n"]),
        ("StringRules", {"well_known_regex": 2}, ["", "a\tb"], ["a\n", "\x7f"]),
        ("StringRules", {"well_known_regex": 1, "strict": False}, ["", "a b"], ["a\n"]),
        ("BytesRules", {"min_len": 1, "prefix": b"a"}, [b"ab"], [b"", b"b"]),
        ("RepeatedRules", {"min_items": 1, "max_items": 2, "unique": True}, [[1], [1, 2]], [[], [1, 1], [1, 2, 3]]),
        ("MapRules", {"min_pairs": 1, "max_pairs": 1}, [{1: 2}], [{}, {1: 2, 3: 4}]),
        ("StringRules", {"email": True}, [], ["a@b"]),
    ],
)
def test_each_kind_of_rule(kind: str, limits: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    found = checks(rules(kind, **limits))
    assert [value for value in good if any(check(value) for check in found)] == []
    assert [value for value in bad if not any(check(value) for check in found)] == []
