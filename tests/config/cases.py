"""Configurations that Envoy accepts or refuses while loading them, before any listener or cluster is built.

`test_judge.py` runs them through our own loading and, where there is an Envoy, through Envoy: the verdicts here are
Envoy's. The few that differ on purpose are not here but in the tests of the file that differs.
"""

from typing import NamedTuple


class Case(NamedTuple):
    accepted: bool
    text: str
    suffix: str = "yaml"

    def __str__(self) -> str:
        return f"{self.suffix}: {self.text}"


HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def admin(value: str) -> str:
    return f"admin: {{ignore_global_conn_limit: {value}}}"


def node(value: str) -> str:
    return f"node: {{id: {value}}}"


def cluster(field: str) -> str:
    return f"static_resources: {{clusters: [{{name: a, load_assignment: {{cluster_name: a}}, {field}}}]}}"


def json_cluster(field: str) -> str:
    return f'{{"static_resources":{{"clusters":[{{"name":"a","load_assignment":{{"cluster_name":"a"}},{field}}}]}}}}'


def limit(value: str) -> str:
    return cluster(f"per_connection_buffer_limit_bytes: {value}")


def percent(value: str) -> str:
    return cluster(f"circuit_breakers: {{thresholds: [{{retry_budget: {{budget_percent: {{value: {value}}}}}}}]}}")


def metadata(value: str) -> str:
    return json_cluster(f'"metadata":{{"typed_filter_metadata":{{"a":{value}}}}}')


def options(body: str) -> str:
    at_type = f"'@type': type.googleapis.com/{HTTP_OPTIONS}"
    return cluster(f"typed_extension_protocol_options: {{{HTTP_OPTIONS}: {{{at_type}, {body}}}}}")


def admin_log(kind: str) -> str:
    at_type = f"'@type': type.googleapis.com/envoy.extensions.access_loggers.stream.v3.{kind}"
    return f"admin: {{access_log: [{{name: log, typed_config: {{{at_type}}}}}]}}"


def secret(value: str) -> str:
    return f"static_resources: {{secrets: [{{name: a, generic_secret: {{secret: {{inline_bytes: {value}}}}}}}]}}"


def json_metadata(depth: int) -> str:
    return f'{{"node":{{"metadata":{{"a":{"[" * depth}{"]" * depth}}}}}}}'


def yaml_metadata(depth: int) -> str:
    return f"node: {{metadata: {'{a: ' * depth}{'}' * depth}}}"


def routes(body: str) -> str:
    return f"""
static_resources:
  listeners:
  - name: http
    address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': {HCM}
          stat_prefix: http
          route_config:
            virtual_hosts:
            - {{name: all, domains: '*', routes: [{body}]}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
"""


def all_of(accepted: bool, texts: list[str], suffix: str = "yaml") -> list[Case]:
    return [Case(accepted, text, suffix) for text in texts]


YAML_SCALARS = [
    *all_of(
        True, list(map(admin, ("yes", "on", "y", "'yes'", "True", "TRUE", "tRUE", "~", "null", "'1'", "'t'", "No")))
    ),
    *all_of(False, list(map(admin, ("1", "0x10", "1.5", "'5'", "!!str 5", "+5", "2001-01-01", "<<", "'on'", "''")))),
    *all_of(
        True, list(map(node, ("1.5", "~", "5000000000", "'5'", "! 5", "!foo abc", "08", "0x", "++5", "5.", "1_000")))
    ),
    *all_of(
        False, list(map(node, ("yes", "on", "5", "0x10", "010", "!!str 5", "!!int '5'", "true", "[]", "{}", "+5")))
    ),
    *all_of(True, [node("!!binary aGVsbG8="), "node:\n  id: |\n    5\n", "node: {user_agent_name: Y3}"]),
    *all_of(False, ["node: {user_agent_name: y}", node("-0x10"), node("0X1F"), node("-010")]),
]

YAML_DOCUMENTS = [
    *all_of(False, ["[]", "- a", "foo", "5", "", "~", "---\n", "'a'"]),
    *all_of(
        True, ["node: {id: x}\n---\nnode: {}\n", "node: {id: x}\n---\nnonsense: 1\n", "node: {id: x}\n...\n", "{}"]
    ),
    *all_of(True, ["\ufeffnode: {id: x}\n", "!ignore a: 5\nnode: {id: x}", "!ignore x:\n  - &a {id: q}\nnode: *a\n"]),
    *all_of(True, ["node:\n  id: a\n  id: b\n", "node: {id: [a], id: b}", '{"node": {"id": "x"}}']),
    *all_of(False, ["node: &a {id: x}\nadmin: *a\n", "node: {<<: {id: x}}\n", "? [a]\n: 5\n", "node: [\n"]),
    *all_of(
        False, ['node: {id: "x}\n', "\tnode: {}", "node: {id: x}\n  foo: 5\n", "node: {id: *x}", "5: 6", "true: 5"]
    ),
]

FIELD_NAMES = [
    *all_of(True, ["node: {userAgentName: yy}", "node: {user_agent_name: xx, userAgentName: yy}"]),
    *all_of(False, ["nodes: {}", "node: {idd: x}", "node: {Id: x}", "nodE: {id: x}", "node: {user-agent-name: x}"]),
]

JSON_DOCUMENTS = [
    *all_of(True, ["{}", '{"node":{"id":"x"}}\n\n', '{"node": null}', '{"node":{"id":"a\tb"}}'], "json"),
    *all_of(
        True,
        ['{"node":{"id":"x"},}', "{'node':{}}", "{node:{}}", "{node:{'id':'x'}}", "{node : {id : 'it\\'s', },}"],
        "json",
    ),
    *all_of(True, ['{"node":{"id":"x","id":"y"}}', '{"node":{"id":"\\ud83d\\ude00 \\/"}}'], "json"),
    *all_of(False, ["{", "[]", '"a"', "null", "", "5", '{"node":{"id":5}}', '{"node":{"id":true}}'], "json"),
    *all_of(False, ['{"node":{"id":"x"}} x', "// c\n{}", '{"node":{"id":"\\ud83d"}}', "node: {id: x}"], "json"),
    *all_of(False, ['{"node":{id:x}}', '{"node":{"id":"\\x41"}}', '{"node" {"id":"a"}}', '{"a":1,,"b":2}'], "json"),
    *all_of(False, ["node: {id: x}"], "conf"),
    *all_of(True, ['{"node":{"id":"x"}}'], "conf"),
    *all_of(True, ["node: {id: x}"], "yml"),
    *all_of(True, ["node: {id: x}"], "YAML"),
    *all_of(True, ['node {id: "x"}'], "pb_text"),
    *all_of(False, ["node {id: 5", "nodes {}"], "pb_text"),
]

DEPTH = [
    Case(True, json_metadata(30), "json"),
    Case(False, json_metadata(150), "json"),
    Case(False, json_metadata(5000), "json"),
    Case(True, yaml_metadata(30)),
    Case(False, yaml_metadata(150)),
    Case(False, yaml_metadata(5000)),
]

NUMBERS = [
    *all_of(
        True, list(map(limit, ("'12'", "{value: 12}", "012", "5e1", "'5e1'", "5.0", "'0x10'", "'+5'", "4294967295")))
    ),
    *all_of(
        False, list(map(limit, ("5.5", "4294967296", "-1", "[]", "true", "x", "' 5'", "'5 '", "'1_0'", "''", "0x")))
    ),
    *all_of(True, list(map(percent, ("20", "20.5", "nan", "NaN", "' 1'", "'1 '", "'0x10'", "1e1", "0")))),
    *all_of(False, list(map(percent, ("Infinity", "1e999", ".inf", "1_0", "-1", "100.5", "true", "x", "[]")))),
    Case(True, json_cluster('"per_connection_buffer_limit_bytes":5.0'), "json"),
    Case(True, json_cluster('"per_connection_buffer_limit_bytes":"5."'), "json"),
    Case(False, json_cluster('"per_connection_buffer_limit_bytes":1.5'), "json"),
    Case(False, percent("NaN").replace("{value: NaN}", '{"value":NaN}'), "json"),
]

ENUMS = [
    *all_of(True, [cluster(f"type: {value}") for value in ("static", "0", "'0'", "STATIC", "Static", "~")]),
    *all_of(
        False,
        [
            cluster(f"type: {value}")
            for value in ("''", "7", "77", "' STATIC'", "'0x0'", "1.5", "0.0", "true", "STATICC")
        ],
    ),
]

DURATIONS = [
    *all_of(
        True,
        [cluster(f"connect_timeout: {value}") for value in ("1s", "0.5s", "01s", "{seconds: 1}", "1.000000001s", "~")],
    ),
    *all_of(
        False,
        [
            cluster(f"connect_timeout: {value}")
            for value in (
                "1",
                "1.5",
                "'1s '",
                "1.s",
                ".5s",
                "-1s",
                "1.1234567891s",
                "+1s",
                "1e1s",
                "1m",
                "400000000000s",
            )
        ],
    ),
    *all_of(
        False, [cluster("connect_timeout: 0s"), cluster("connect_timeout: {}"), cluster("connect_timeout: {zz: 1}")]
    ),
    *all_of(False, [cluster("connect_timeout: ''"), cluster("connect_timeout: []"), "stats_flush_interval: 400s"]),
]

STRUCTURE = [
    *all_of(True, [cluster("dns_resolvers: ~"), cluster("metadata: {filter_metadata: ~}"), "node: {metadata: ~}"]),
    *all_of(False, [cluster("dns_resolvers: {}"), cluster("dns_resolvers: [~]"), cluster("health_checks: [5]")]),
    *all_of(False, [cluster("health_checks: x"), cluster("health_checks: {}"), cluster("metadata: 5")]),
    *all_of(False, [cluster("metadata: {filter_metadata: []}"), cluster("metadata: {filter_metadata: {a: 5}}")]),
    *all_of(
        True, [cluster("metadata: {filter_metadata: {a: ~}}"), cluster("metadata: {filter_metadata: {a: {b: ~}}}")]
    ),
    *all_of(True, [cluster("lb_subset_config: {subset_selectors: {keys: [a]}}")]),
    *all_of(True, [cluster("lb_subset_config: {subset_selectors: [{keys: a}]}")]),
    *all_of(False, [cluster("lb_subset_config: {subset_selectors: [{keys: [a, 5]}]}")]),
    *all_of(False, ["stats_config: {stats_tags: [{tag_name: a, regex: b, fixed_value: c}]}"]),
    *all_of(True, ["stats_config: {stats_tags: [{tag_name: a, regex: ~, fixed_value: c}]}"]),
    *all_of(True, [secret('"aGk="'), secret('"aGk"'), secret('"-_-_"'), secret("aGk=")]),
    *all_of(False, [secret('"a Gk="'), secret('"%%"'), secret("5")]),
]

ANY = [
    *all_of(True, [metadata("{}"), metadata("null")], "json"),
    *all_of(False, [metadata('{"type_url":"x","value":"aa"}'), metadata("5"), metadata('{"@type":5}')], "json"),
    *all_of(
        True,
        [
            metadata(f'{{"@type":"type.googleapis.com/google.protobuf.{body}}}')
            for body in (
                'StringValue","value":"x"',
                'StringValue"',
                'Struct","value":{"x":1}',
                'Duration","value":"1s"',
                'Any","value":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}',
                'Empty"',
            )
        ],
        "json",
    ),
    *all_of(
        False,
        [
            metadata(f'{{"@type":"type.googleapis.com/google.protobuf.{body}}}')
            for body in ('Struct","x":1', 'Empty","value":{}', 'Duration","value":"x"', 'StringValue","value":5')
        ],
        "json",
    ),
    *all_of(
        False,
        [
            metadata(f'{{"@type":"{url}"}}')
            for url in (
                "foo",
                "google.protobuf.Empty",
                "/google.protobuf.Empty",
                "type.googleapis.com/",
                "type.googleapis.com/foo.Bar",
            )
        ],
        "json",
    ),
    Case(True, options("explicit_http_config: {http_protocol_options: {}}")),
    Case(True, options("explicit_http_config: {http_protocol_options: {}, http2_protocol_options: ~}")),
    Case(False, options("explicit_http_config: {http_protocol_options: {}, http2_protocol_options: {}}")),
    Case(False, options("explicit_http_config: {}")),
    Case(False, options("explicit_http_confg: {http_protocol_options: {}}")),
    Case(False, options("")),
]

RULES = [
    *all_of(True, [routes("{match: {prefix: /}, direct_response: {status: 200}}"), routes("")]),
    *all_of(
        False,
        [
            routes(body)
            for body in (
                "{match: {}, direct_response: {status: 200}}",
                "{match: {prefix: /}}",
                "{direct_response: {status: 200}}",
                "{match: {prefix: /}, direct_response: {status: 700}}",
                "{match: {prefix: /}, direct_response: {}}",
                "{match: {path_separated_prefix: a/}, direct_response: {status: 200}}",
                "{match: {prefix: /, headers: [{exact_match: a}]}, direct_response: {status: 200}}",
                '{match: {prefix: /, headers: [{name: "a\\n"}]}, direct_response: {status: 200}}',
                "{match: {prefix: /, query_parameters: [{name: ''}]}, direct_response: {status: 200}}",
                "{match: {safe_regex: {}}, direct_response: {status: 200}}",
                "{match: {prefix: /}, route: {cluster: ''}}",
                "{match: {prefix: /}, route: {cluster: a, timeout: x}}",
                "{match: {prefix: /}, route: {cluster: a, retry_policy: {retry_back_off: {}}}}",
                "{match: {prefix: /}, route: {cluster: a, hash_policy: [{header: {}}]}}",
                '{match: {prefix: /}, route: {cluster: a, prefix_rewrite: "a\\n"}}',
                "{match: {prefix: /}, redirect: {response_code: 99}}",
                '{match: {prefix: /}, redirect: {path_redirect: "\\r"}}',
                "{match: {prefix: /}, direct_response: {status: 200}, response_headers_to_remove: ['']}",
                "{match: {prefix: /}, direct_response: {status: 200}, request_headers_to_add: [{}]}",
                "{match: {prefix: /}, direct_response: {status: 200}, request_headers_to_add: [{header: {key: ''}}]}",
            )
        ],
    ),
    *all_of(
        True,
        [
            routes(body)
            for body in (
                "{match: {prefix: ''}, direct_response: {status: 599}}",
                "{match: {path_separated_prefix: /a}, direct_response: {status: 200}}",
                "{match: {prefix: /, headers: [{name: 'a b'}]}, direct_response: {status: 200}}",
                "{match: {prefix: /}, redirect: {response_code: FOUND}}",
                "{match: {prefix: /}, direct_response: {status: 200}, request_headers_to_add: [{header: {key: a}}]}",
            )
        ],
    ),
    *all_of(
        False,
        [
            cluster(field)
            for field in (
                "health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1}]",
                "health_checks: [{timeout: -1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1,"
                " tcp_health_check: {}}]",
                "dns_refresh_rate: 0s",
                "outlier_detection: {max_ejection_percent: 101}",
                "outlier_detection: {interval: 0s}",
                "common_lb_config: {healthy_panic_threshold: {value: 101}}",
                "circuit_breakers: {thresholds: [{priority: 5}]}",
                "load_assignment: {}",
                "load_assignment: {cluster_name: a, endpoints: [{priority: 129}]}",
                "load_assignment: {cluster_name: a, endpoints: [{load_balancing_weight: 0}]}",
                "load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: [{endpoint: {address: {}}}]}]}",
                "load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address:"
                " {address: '', port_value: 1}}}}]}]}",
                "load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address:"
                " {address: 127.0.0.1, port_value: 65536}}}}]}]}",
                "load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address:"
                " {address: 127.0.0.1}}}}]}]}",
                "name: ''",
            )
        ],
    ),
    *all_of(
        True,
        [
            cluster("outlier_detection: {max_ejection_percent: 100}"),
            cluster("load_assignment: {cluster_name: a, endpoints: [{priority: 0, load_balancing_weight: 1}]}"),
            cluster(
                "health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1,"
                " tcp_health_check: {}}]"
            ),
        ],
    ),
    # Required fields of a oneof that is not required.
    *(Case(True, admin_log(kind)) for kind in ("StdoutAccessLog", "StderrAccessLog")),
]

CASES = [
    *YAML_SCALARS,
    *YAML_DOCUMENTS,
    *FIELD_NAMES,
    *JSON_DOCUMENTS,
    *DEPTH,
    *NUMBERS,
    *ENUMS,
    *DURATIONS,
    *STRUCTURE,
    *ANY,
    *RULES,
]
