"""What a route asks of a request beside its path."""

import asyncio
from types import SimpleNamespace

import pytest

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from tests.routing.tables import found, match, routes, stream

Pairs = list[tuple[str, str]]
ONE, TWO, NONE, BOTH = [("x-a", "1")], [("x-a", "22")], [], [("x-a", "1"), ("x-a", "22")]  # type: ignore[var-annotated]


def takes(condition: str, headers: Pairs, path: str = "/", **fields: str) -> bool:
    return found(routes(match(f"prefix: /, {condition}", "it")), stream(path, headers=headers, **fields)) == "it"


@pytest.mark.parametrize(
    ("matcher", "headers", "expected"),
    [
        ("exact_match: '1'", ONE, True),
        ("exact_match: '1'", TWO, False),
        ("prefix_match: '2'", TWO, True),
        ("suffix_match: '2'", ONE, False),
        ("contains_match: '2'", TWO, True),
        ("safe_regex_match: {regex: '2+'}", TWO, True),
        ("safe_regex_match: {regex: '2'}", TWO, False),
        ("string_match: {exact: '1'}", ONE, True),
        ("string_match: {prefix: '2'}", TWO, True),
        ("string_match: {suffix: '1'}", TWO, False),
        ("string_match: {contains: '2'}", TWO, True),
        ("string_match: {safe_regex: {regex: '.*'}}", NONE, False),
        ("string_match: {exact: aB, ignore_case: true}", [("x-a", "Ab")], True),
        ("string_match: {exact: aB}", [("x-a", "Ab")], False),
        ("string_match: {exact: '1'}, invert_match: true", ONE, False),
        ("string_match: {exact: '1'}, invert_match: true", TWO, True),
        # Without the header there is nothing to judge, whichever way round.
        ("string_match: {exact: '1'}, invert_match: true", NONE, False),
        ("string_match: {exact: ''}, treat_missing_header_as_empty: true", NONE, True),
        ("string_match: {exact: '1'}, invert_match: true, treat_missing_header_as_empty: true", NONE, True),
        ("present_match: true", NONE, False),
        ("present_match: true", [("x-a", "")], True),
        ("present_match: false", NONE, True),
        ("present_match: false", ONE, False),
        ("present_match: true, invert_match: true", NONE, True),
        ("present_match: true, treat_missing_header_as_empty: true", NONE, True),
        ("", ONE, True),
        ("", NONE, False),
        # Of several lines one is enough, and they are not joined.
        ("string_match: {exact: '22'}", BOTH, True),
        ("string_match: {exact: '1,22'}", BOTH, False),
        ("string_match: {exact: '1,22'}", [("x-a", "1,22")], True),
        ("string_match: {exact: '22'}, invert_match: true", BOTH, False),
        ("string_match: {exact: '9'}, invert_match: true", BOTH, True),
        ("range_match: {start: 20, end: 30}", BOTH, True),
    ],
)
def test_headers(matcher: str, headers: Pairs, expected: bool) -> None:
    assert takes(f"headers: [{{name: X-A, {matcher}}}]", headers) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *[(value, True) for value in ("-10", "9", "+1", " 5 ")],
        *[(value, False) for value in ("10", "1.5", "0x1", "1_0", "\xb2", "", "-", "9" * 30)],
    ],
)
def test_range(value: str, expected: bool) -> None:
    assert takes("headers: [{name: x-a, range_match: {start: -10, end: 10}}]", [("x-a", value)]) is expected


def test_a_value_is_matched_byte_by_byte() -> None:
    regex = "headers: [{name: x-a, string_match: {safe_regex: {regex: 'secret.*'}}}]"
    assert takes(regex, [("x-a", "secret\xe9")])
    exact = "headers: [{name: x-a, string_match: {exact: 'caf\u00e9'}}]"
    assert takes(exact, [("x-a", "caf\xc3\xa9")])
    assert not takes(exact, [("x-a", "caf\xe9")])
    folded = "headers: [{name: x-a, string_match: {exact: 'A\u00e9', ignore_case: true}}]"
    assert takes(folded, [("x-a", "a\xc3\xa9")])
    assert not takes(folded, [("x-a", "a\xe3\xa9")])


def test_pseudo_headers() -> None:
    assert takes("headers: [{name: ':method', string_match: {exact: PUT}}]", NONE, method="PUT")
    assert takes("headers: [{name: ':path', string_match: {suffix: '?x=1'}}]", NONE, path="/a?x=1")
    assert takes("headers: [{name: ':authority', string_match: {exact: b}}]", NONE, host="b")
    assert takes("headers: [{name: Host, string_match: {exact: b}}]", NONE, host="b")
    assert takes("headers: [{name: ':scheme', string_match: {exact: http}}]", NONE)
    assert not takes("headers: [{name: ':protocol', present_match: true}]", NONE)


def test_all_headers_must_match() -> None:
    both = "headers: [{name: x-a, present_match: true}, {name: x-b, present_match: true}]"
    assert not takes(both, ONE)
    assert takes(both, [*ONE, ("x-b", "")])


@pytest.mark.parametrize(
    ("matcher", "path", "expected"),
    [
        ("{name: a, present_match: true}", "/?a", True),
        ("{name: a, present_match: true}", "/?b=a", False),
        ("{name: a, present_match: false}", "/?b", True),
        ("{name: a, present_match: false}", "/?a=1", False),
        ("{name: a}", "/?x&a=", True),
        ("{name: a, string_match: {exact: '1'}}", "/?b=2&a=1", True),
        ("{name: a, string_match: {exact: '1'}}", "/?a=1&a=2", True),
        ("{name: a, string_match: {exact: '2'}}", "/?a=1&a=2", False),
        ("{name: a, string_match: {exact: '1'}}", "/?a=%31", False),
        ("{name: a, string_match: {exact: '1'}}", "/?A=1", False),
        ("{name: a, string_match: {exact: ''}}", "/?a", True),
        ("{name: a, string_match: {exact: ''}}", "/", False),
        ("{name: a}, {name: b, string_match: {prefix: x}}", "/?b=xy&a=0", True),
        ("{name: a}, {name: b, string_match: {prefix: x}}", "/?b=y&a=0", False),
    ],
)
def test_query_parameters(matcher: str, path: str, expected: bool) -> None:
    assert takes(f"query_parameters: [{matcher}]", NONE, path) is expected


@pytest.mark.parametrize(
    ("cookie", "plain", "inverted"),
    [
        ("s=x", True, False),
        ('s="x"', True, False),
        ('s="x', False, True),
        ("a=b;s=x;", True, False),
        ("s=y; s=x", False, True),
        ("s=x; s=y", True, False),
        ("S=x", False, True),
        ("s = x", False, True),
        ("s", False, True),
    ],
)
def test_cookies(cookie: str, plain: bool, inverted: bool) -> None:
    matcher = "cookies: [{name: s, string_match: {exact: x}}]"
    assert takes(matcher, [("cookie", "other=1"), ("cookie", cookie)]) is plain
    assert takes(matcher[:-2] + ", invert_match: true}]", [("cookie", cookie)]) is inverted


@pytest.mark.parametrize(
    ("kind", "expected"), [("application/grpc", True), ("application/grpc+proto", True), ("application/grpcx", False)]
)
def test_grpc(kind: str, expected: bool) -> None:
    assert takes("grpc: {}", [("content-type", kind)]) is expected
    assert not takes("grpc: {}", [])


def test_runtime_fraction() -> None:
    assert not takes("runtime_fraction: {default_value: {numerator: 0}}", [])
    assert takes("runtime_fraction: {default_value: {numerator: 1000000, denominator: MILLION}}", [])
    ctx = Context(asyncio.new_event_loop())
    always = "runtime_fraction: {default_value: {numerator: 100}, runtime_key: k}"
    table = routes(match(f"prefix: /, {always}", "it"), ctx=ctx)
    assert found(table, stream()) == "it"
    ctx.runtime.set_layer("admin", {"k": 0})
    assert found(table, stream()) is None


@pytest.mark.parametrize(
    ("matcher", "value", "expected"),
    [
        ("string_match: {exact: gold}", "gold", True),
        ("string_match: {exact: gold}", 1, False),
        ("bool_match: true", True, True),
        ("bool_match: true", 1, False),
        ("double_match: {exact: 1}", 1, True),
        ("double_match: {exact: 1}", True, False),
        ("double_match: {range: {start: 1, end: 2}}", 1.5, True),
        ("double_match: {range: {start: 1, end: 2}}", 2.0, False),
        ("present_match: true", "", True),
        ("list_match: {one_of: {string_match: {exact: a}}}", ["b", "a"], True),
        ("list_match: {one_of: {string_match: {exact: a}}}", "a", False),
        ("or_match: {value_matchers: [{bool_match: true}, {string_match: {exact: a}}]}", "a", True),
    ],
)
def test_dynamic_metadata(matcher: str, value: object, expected: bool) -> None:
    condition = f"{{filter: ns, path: [{{key: a}}, {{key: b}}], value: {{{matcher}}}}}"
    table = routes(match(f"prefix: /, dynamic_metadata: [{condition}]", "it"))
    asking = stream()
    assert found(table, asking) is None
    asking.set_metadata("ns", "a", {"b": value})
    assert (found(table, asking) == "it") is expected


def test_inverted_metadata_match_takes_what_is_absent() -> None:
    condition = "{filter: ns, path: [{key: a}], value: {present_match: true}, invert: true}"
    table = routes(match(f"prefix: /, dynamic_metadata: [{condition}]", "it"))
    asking = stream()
    assert found(table, asking) == "it"
    asking.set_metadata("ns", "a", 1)
    assert found(table, asking) is None


def test_filter_state() -> None:
    addresses = "{ranges: [{address_prefix: 10.0.0.0, prefix_len: 8}]}"
    table = routes(
        match("prefix: /a, filter_state: [{key: k, string_match: {exact: v}}]", "text"),
        match(f"prefix: /b, filter_state: [{{key: k, address_match: {addresses}}}]", "ip"),
    )
    asking = stream("/a")
    assert found(table, asking) is None
    asking.filter_state = {"k": "v"}
    assert found(table, asking) == "text"
    on_connection = stream("/b")
    on_connection.connection.filter_state = {"k": "10.1.2.3"}
    assert found(table, on_connection) == "ip"
    on_connection.connection.filter_state = {"k": "11.1.2.3"}
    assert found(table, on_connection) is None
    on_connection.connection.filter_state = {"k": "no address"}
    assert found(table, on_connection) is None


def test_tls_context() -> None:
    table = routes(
        match("prefix: /, tls_context: {presented: true, validated: true}", "validated"),
        match("prefix: /, tls_context: {presented: true}", "presented"),
        match("prefix: /, tls_context: {presented: false}", "none"),
    )
    asking = stream()
    assert found(table, asking) == "none"
    asking.connection.tls = SimpleNamespace(peer=True, validated=False)
    assert found(table, asking) == "presented"
    asking.connection.tls = SimpleNamespace(peer=True, validated=True)
    assert found(table, asking) == "validated"


@pytest.mark.parametrize(
    ("condition", "path", "reason"),
    [
        ("headers: [{name: a, string_match: {safe_regex: {regex: '('}}}]",
         "headers[0].string_match.safe_regex.regex", "invalid regex '(': missing ): ("),
        ("headers: [{name: a, string_match: {safe_regex: {regex: a}, ignore_case: true}}]",
         "headers[0].string_match.ignore_case", "ignore_case has no effect for safe_regex."),
        ("dynamic_metadata: [{filter: a, path: [{key: b}], value: {}}]",
         "dynamic_metadata[0].value", "a value matcher needs a match_pattern"),
    ],
)  # fmt: skip
def test_refused(condition: str, path: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        takes(condition, [])
    assert str(caught.value) == f"virtual_hosts['v'].routes[0].match.{path}: {reason}"
