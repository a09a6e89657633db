"""What a route configuration becomes, and what is refused: the words are Envoy's."""

import pytest

from meshproxy.config.build_routes import build_route_table
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse
from meshproxy.config.source import inline
from meshproxy.config.view import View, unread
from meshproxy.routing.overrides import Override
from tests.routing.tables import NAME, build, context, found, match, routes, stream, table_text, view_of

OK = "{match: {prefix: /}, route: {cluster: origin}}"
ROUTE = "virtual_hosts['v'].routes[0]"


def refusal(text: str, ctx: Context | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        build_route_table(view_of(text), ctx or context())
    return str(caught.value)


def host(fields: str, name: str = "v", domains: str = "['*']") -> str:
    return f"{{name: {name}, domains: {domains}, {fields}}}"


def hosts(*texts: str) -> str:
    return f"{{name: r, virtual_hosts: [{', '.join(texts)}]}}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (hosts(host(f"routes: [{OK}]", "a"), host(f"routes: [{OK}]", "b")),
         "virtual_hosts['b'].domains[0]: Only a single wildcard domain is permitted in route r"),
        (hosts(host(f"routes: [{OK}]", "a", "[x.com]"), host(f"routes: [{OK}]", "b", "[y.com, X.com]")),
         "virtual_hosts['b'].domains[1]: Only unique values for domains are permitted. "
         "Duplicate entry of domain x.com in route r"),
        (hosts(host(f"routes: [{OK}], virtual_clusters: [{{name: x}}]")),
         "virtual_hosts['v'].virtual_clusters[0]: virtual clusters must define 'headers'"),
        (hosts(host(f"routes: [{OK}], matcher: {{matcher_list: {{}}}}")),
         "virtual_hosts['v']: cannot set both matcher and routes on virtual host"),
        ("{name: r, vhds: {config_source: {ads: {}}}}", "vhds: virtual host discovery is not supported yet"),
    ],
)  # fmt: skip
def test_refused_hosts(text: str, expected: str) -> None:
    assert refusal(text) == expected


@pytest.mark.parametrize(
    ("route", "path", "reason"),
    [
        ("{match: {prefix: /}, route: {cluster: nope}}", "route.cluster", "route: unknown cluster 'nope'"),
        ("{match: {safe_regex: {regex: '('}}, route: {cluster: origin}}",
         "match.safe_regex.regex", "invalid regex '(': missing ): ("),
        ("{match: {prefix: /}, route: {cluster: origin, prefix_rewrite: /, regex_rewrite: {pattern: {regex: a}}}}",
         "route", "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy"),
        ("{match: {prefix: /}, route: {cluster: origin, prefix_rewrite: /, path_rewrite: /}}",
         "route", "Specify only one of prefix_rewrite, regex_rewrite or path_rewrite_policy"),
        ("{match: {prefix: /}, route: {cluster: origin, regex_rewrite: {pattern: {regex: a}, substitution: '\\1'}}}",
         "route.regex_rewrite.substitution", "there is no group 1: the pattern has 0"),
        ("{match: {prefix: /}, route: {cluster: origin, upgrade_configs: [{upgrade_type: a}, {upgrade_type: A}]}}",
         "route.upgrade_configs[1]", "Duplicate upgrade A"),
        ("{match: {prefix: /}, route: {cluster: origin, upgrade_configs: [{upgrade_type: a, connect_config: {}}]}}",
         "route.upgrade_configs[0]", "Non-CONNECT upgrade type a has ConnectConfig"),
        ("{match: {prefix: /}, route: {cluster_specifier_plugin: p}}",
         "route.cluster_specifier_plugin", "cluster specifier plugins are not supported"),
        ("{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: origin, weight: 0}]}}}",
         "route.weighted_clusters", "Sum of weights in the weighted_cluster must be greater than 0."),
        ("{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: origin}]}}}",
         "route.weighted_clusters.clusters[0]", "Field 'weight' is missing"),
        ("{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: nope, weight: 1}]}}}",
         "route.weighted_clusters.clusters[0]", "route: unknown weighted cluster 'nope'"),
        ("{match: {prefix: /}, route: {weighted_clusters: {clusters: [{weight: 1}]}}}",
         "route.weighted_clusters.clusters[0]", "At least one of name or cluster_header need to be specified"),
        ("{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, cluster_header: b, weight: 1}]}}}",
         "route.weighted_clusters.clusters[0]", "Only one of name or cluster_header can be specified"),
        ("{name: w, match: {prefix: /}, route: {weighted_clusters: {clusters: "
         "[{name: origin, weight: 4294967295}, {name: origin, weight: 1}]}}}",
         "route.weighted_clusters", "The sum of weights of all weighted clusters of route w exceeds 4294967295"),
        ("{match: {prefix: /}, route: {cluster: origin}, request_headers_to_add: [{header: {key: ':path', value: x}}]}",
         "request_headers_to_add[0]", ":-prefixed or host headers may not be modified"),
        ("{match: {prefix: /}, route: {cluster: origin}, response_headers_to_add: [{header: {key: Host, value: x}}]}",
         "response_headers_to_add[0]", ":-prefixed or host headers may not be modified"),
        ("{match: {prefix: /}, route: {cluster: origin}, request_headers_to_remove: [a, Host]}",
         "request_headers_to_remove[1]", ":-prefixed or host headers may not be removed"),
        ("{match: {prefix: /}, route: {cluster: origin}, request_headers_to_add: [{header: {key: a, value: '%FOO%'}}]}",
         "request_headers_to_add[0].header", "Not supported field in StreamInfo: FOO"),
        ("{match: {prefix: /}, route: {cluster: origin}, request_headers_to_add: [{header: {key: a, value: '10%'}}]}",
         "request_headers_to_add[0].header",
         "Incorrect configuration: 10%. Couldn't find valid command at position 2"),
        ("{match: {prefix: /}, route: {cluster: origin}, request_headers_to_add: "
         "[{header: {key: a}, append: true, append_action: ADD_IF_ABSENT}]}",
         "request_headers_to_add[0]", "Both append and append_action are set and it's not allowed"),
        ("{match: {prefix: /}, route: {cluster: origin}, typed_per_filter_config: "
         "{foo: {'@type': type.googleapis.com/envoy.config.core.v3.Node}}}",
         "typed_per_filter_config['foo']",
         "Didn't find a registered implementation for 'foo' with type URL: 'envoy.config.core.v3.Node'"),
        ("{match: {prefix: /}, route: {cluster: origin}, typed_per_filter_config: "
         "{foo: {'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig}}}",
         "typed_per_filter_config['foo']", "Empty route/virtual host per filter configuration for foo filter"),
        ("{match: {path_match_policy: {name: t, "
         "typed_config: {'@type': type.googleapis.com/envoy.config.core.v3.Node}}}, route: {cluster: origin}}",
         "match.path_match_policy",
         "Didn't find a registered implementation for 't' with type URL: 'envoy.config.core.v3.Node'"),
    ],
)  # fmt: skip
def test_refused_routes(route: str, path: str, reason: str) -> None:
    assert refusal(table_text(route)) == f"{ROUTE}.{path}: {reason}"


def test_clusters_are_looked_for_where_that_is_asked() -> None:
    text = table_text("{match: {prefix: /}, route: {cluster: nope}}")
    assert build_route_table(view_of(text), context(), validate_clusters=False).name == "r"
    text = table_text("{match: {prefix: /}, route: {cluster: nope}}", validate_clusters="true")
    with pytest.raises(ConfigError, match="unknown cluster"):
        build_route_table(view_of(text), context(), validate_clusters=False)


TEMPLATE = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
REWRITE = "type.googleapis.com/envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig"


def template(path: str, action: str) -> str:
    policy = f"{{name: t, typed_config: {{'@type': {TEMPLATE}, path_template: '{path}'}}}}"
    return f"{{name: it, match: {{path_match_policy: {policy}}}, route: {{cluster: origin, {action}}}}}"


def test_uri_templates() -> None:
    config = f"{{'@type': {REWRITE}, path_template_rewrite: '/b/{{x}}'}}"
    policy = f"path_rewrite_policy: {{name: t, typed_config: {config}}}"
    table = routes(template("/a/{x}", policy))
    assert found(table, stream("/a/1?q")) == "it"
    assert found(table, stream("/a/1/2")) is None
    with pytest.raises(ConfigError, match="mismatch between variables"):
        routes(template("/a/{y}", policy))
    with pytest.raises(ConfigError, match="Cannot use prefix_rewrite with matcher extension"):
        routes(template("/a/{x}", "prefix_rewrite: /b"))
    with pytest.raises(ConfigError, match="without a uri_template path match"):
        routes(f"{{match: {{prefix: /}}, route: {{cluster: origin, {policy}}}}}")


def test_metadata() -> None:
    metadata = "metadata: {filter_metadata: {ns: {a: 1, b: [x]}}}"
    table = build(
        f"{{name: r, {metadata}, virtual_hosts: [{{name: v, domains: ['*'], {metadata}, "
        f"routes: [{{match: {{prefix: /}}, direct_response: {{status: 200}}, {metadata}}}]}}]}}"
    )
    route = table.match(stream())
    assert route is not None and route.virtual_host is not None
    expected = {"ns": {"a": 1, "b": ["x"]}}
    assert route.metadata == route.virtual_host.metadata == table.metadata == expected


def test_internal_only_headers() -> None:
    assert routes(OK, internal_only_headers="[X-Internal]").internal_only_headers == {"x-internal"}


def test_what_comes_later_is_named() -> None:
    text = table_text(
        "{match: {prefix: /}, decorator: {operation: o}, route: {cluster: origin, "
        "request_mirror_policies: [{cluster: origin, trace_sampled: true}]}}"
    )
    view = view_of(text)
    build_route_table(view, context())
    warned = {problem.path.removeprefix(f"{ROUTE}.") for problem in unread(view)}
    assert warned == {"decorator", "route.request_mirror_policies[0].trace_sampled"}
    assert {problem.severity for problem in unread(view)} == {"ignored"}


def test_overrides_of_every_level() -> None:
    kind = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
    off = f"typed_per_filter_config: {{f: {{'@type': {kind}, disabled: true}}}}"
    clusters = f"weighted_clusters: {{clusters: [{{name: origin, weight: 1, {off}}}]}}"
    text = (
        f"{{name: r, {off}, virtual_hosts: [{{name: v, domains: ['*'], {off}, "
        f"routes: [{{match: {{prefix: /}}, {off}, route: {{{clusters}}}}}]}}]}}"
    )
    route = build(text).match(stream())
    assert route is not None
    assert route.overrides == ({"f": Override(disabled=True)},) * 4


def test_an_optional_override_for_an_unknown_filter_is_left_out() -> None:
    config = "config: {'@type': type.googleapis.com/envoy.config.core.v3.Node}"
    wrapper = f"{{'@type': type.googleapis.com/envoy.config.route.v3.FilterConfig, is_optional: true, {config}}}"
    table = routes(f"{{match: {{prefix: /}}, route: {{cluster: origin}}, typed_per_filter_config: {{f: {wrapper}}}}}")
    route = table.match(stream())
    assert route is not None
    assert route.overrides == ()


def test_specifiers_that_decide_otherwise_are_refused() -> None:
    specifier = "route_specifiers: [{name: s, typed_config: {'@type': type.googleapis.com/envoy.config.core.v3.Node}}]"
    text = table_text(f"{{match: {{prefix: /}}, route: {{cluster: origin}}, {specifier}}}")
    message, _ = parse(inline(text).tree, NAME)
    with pytest.raises(ConfigError, match="route specifiers are not supported"):
        build_route_table(View(message), context())


INPUT = "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
QUERY = "type.googleapis.com/envoy.type.matcher.v3.HttpRequestQueryParamMatchInput"
HEADER = f"input: {{name: i, typed_config: {{'@type': {INPUT}, header_name: x-a}}}}"


def action(name: str) -> str:
    kind = "type.googleapis.com/envoy.config.route.v3.Route"
    route = f"name: {name}, match: {{prefix: /}}, route: {{cluster: anything}}"
    return f"{{action: {{name: a, typed_config: {{'@type': {kind}, {route}}}}}}}"


def tree(matcher: str, header: str | None = None, path: str = "/") -> str | None:
    table = build(f"{{name: r, virtual_hosts: [{{name: v, domains: ['*'], matcher: {{{matcher}}}}}]}}")
    headers = [] if header is None else [("x-a", header)]
    return found(table, stream(path, headers=headers))


def single(value: str, more: str = HEADER) -> str:
    return f"{{single_predicate: {{{more}, value_match: {{exact: '{value}'}}}}}}"


def listed(*branches: tuple[str, str]) -> str:
    matchers = ", ".join(f"{{predicate: {predicate}, on_match: {on_match}}}" for predicate, on_match in branches)
    return f"matcher_list: {{matchers: [{matchers}]}}"


@pytest.mark.parametrize(
    ("predicate", "header", "expected"),
    [
        (single("1"), "1", "it"),
        (single("1"), "2", None),
        (single("1"), None, None),
        (f"{{not_matcher: {single('1')}}}", None, "it"),
        (f"{{not_matcher: {single('1')}}}", "1", None),
        (f"{{or_matcher: {{predicate: [{single('1')}, {single('2')}]}}}}", "2", "it"),
        (f"{{and_matcher: {{predicate: [{single('1')}, {single('2')}]}}}}", "2", None),
    ],
)
def test_matcher_predicates(predicate: str, header: str | None, expected: str | None) -> None:
    assert tree(listed((predicate, action("it"))), header) == expected


def test_matcher_lists_go_on_where_a_branch_leads_to_nothing() -> None:
    nested = f"{{matcher: {{{listed((single('never'), action('never')))}}}}}"
    matcher = listed((single("1"), nested), (single("1"), action("second"))) + f", on_no_match: {action('none')}"
    assert tree(matcher, "1") == "second"
    assert tree(matcher, "2") == "none"


def test_matcher_trees() -> None:
    exact = f"matcher_tree: {{{HEADER}, exact_match_map: {{map: {{a: {action('a')}, '': {action('empty')}}}}}}}"
    assert tree(exact, "a") == "a"
    assert tree(exact, "ab") is None
    assert tree(exact, "") == "empty"
    assert tree(exact, None) is None
    prefix = f"matcher_tree: {{{HEADER}, prefix_match_map: {{map: {{a: {action('a')}, ab: {action('ab')}}}}}}}"
    assert [tree(prefix, value) for value in ("abc", "ac", "b")] == ["ab", "a", None]


def test_matcher_inputs_and_actions() -> None:
    query = f"input: {{name: i, typed_config: {{'@type': {QUERY}, query_param: q}}}}"
    with pytest.raises(ConfigError, match=f"Route table can only match on request headers, saw {QUERY}"):
        tree(listed((single("1", query), action("it"))))
    kind = "type.googleapis.com/envoy.config.route.v3.RouteList"
    both = ", ".join(match(f"path: /{name}", name)[:-1] + ", route: {cluster: c}}" for name in "ab")
    several = f"{{action: {{name: a, typed_config: {{'@type': {kind}, routes: [{both}]}}}}}}"
    assert [tree(listed((single("1"), several)), "1", f"/{name}") for name in "abc"] == ["a", "b", None]
