"""Which virtual host and which route a request gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.routing.table import RouteTable
from tests.routing.tables import answer, build, found, location, match, routes, stream


def hosts(*domains: str, **fields: str) -> RouteTable:
    """A virtual host for each list of domains (separated by spaces), with one route named after the first of them."""
    made = [
        f"{{name: '{each.split()[0]}', domains: {each.split()}, routes: [{{name: '{each.split()[0]}', "
        "match: {prefix: /}, direct_response: {status: 200}}]}"
        for each in domains
    ]
    more = "".join(f", {name}: {value}" for name, value in fields.items())
    return build(f"{{name: r, virtual_hosts: [{', '.join(made)}]{more}}}")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("www.example.com", "www.example.com"),
        ("WWW.Example.COM", "www.example.com"),
        ("www.example.com:8080", "*"),
        ("example.com:8080", "www.example.com"),
        ("a.example.com", "*.example.com"),
        ("a.b.example.com", "*.b.example.com"),
        ("x-c.example.com", "*.b.example.com"),
        (".example.com", "*"),
        ("example.com", "*"),
        ("api.org", "api.*"),
        ("api.example.org", "api.example.*"),
        ("api.example.com", "*.example.com"),
        ("api.", "*"),
        ("", "*"),
    ],
)
def test_domains_exact_then_longest_suffix_then_longest_prefix_then_any(host: str, expected: str) -> None:
    table = hosts(
        "*",
        "api.*",
        "api.example.*",
        "*.example.com",
        "*.b.example.com *-c.example.com",
        "www.example.com example.com:8080",
    )
    asking = stream(host=host)
    assert found(table, asking) == expected
    assert asking.virtual_host.name == expected


def test_no_virtual_host() -> None:
    table = hosts("only.example")
    asking = stream(host="other.example")
    assert table.match(asking) is None
    assert asking.virtual_host is None


def test_letters_outside_ascii_keep_their_case() -> None:
    # The bytes of "é" and "É" in Latin-1 are letters to str.lower, and two different bytes on the wire.
    assert found(hosts("a.example"), stream(host="A.EXAMPLE")) == "a.example"
    table = hosts("b\u00e9.example")
    assert found(table, stream(host="b\xc3\xa9.EXAMPLE")) == "b\xc3\xa9.example"
    assert found(table, stream(host="b\xe3\xa9.example")) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("example.com:1234", "example.com"),
        ("example.com", "example.com"),
        ("example.com:", "example.com"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("other:1", None),
    ],
)
def test_port_is_ignored_where_asked(host: str, expected: str | None) -> None:
    table = hosts("example.com", "[::1]", ignore_port_in_host_matching="true")
    assert (found(table, stream(host=host)) is not None) == (expected is not None)


def test_host_from_another_header() -> None:
    table = hosts("chosen", "*", vhost_header="X-Vhost")
    assert found(table, stream(headers=[("x-vhost", "CHOSEN")])) == "chosen"
    assert found(table, stream(host="chosen", headers=[("x-vhost", "none")])) == "*"
    # Without the header there is no virtual host, not even that for all.
    assert found(table, stream(host="chosen")) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/exact", "path"),
        ("/exact?q=1", "path"),
        ("/exact#f?q", "path"),
        ("/exact/", None),
        ("/Exact", None),
        ("/sep", "separated"),
        ("/sep/a", "separated"),
        ("/sep?a", "separated"),
        ("/separate", None),
        ("/re/12", "regex"),
        ("/re/12/x?q", "regex"),
        ("/re/12/y", None),
        ("/xre/12", None),
        ("/prefix-later", "prefix"),
        ("/pre", "prefix"),
        ("/pr", None),
        ("/FOLD", "folded"),
        ("/fold/SEP/x", "folded separated"),
        ("/fOlD/pReX", "folded prefix"),
        ("/a?b", None),
    ],
)
def test_paths(path: str, expected: str | None) -> None:
    table = routes(
        match("path: /exact", "path"),
        match("path_separated_prefix: /sep", "separated"),
        match("safe_regex: {regex: '/re/[0-9]+(/x)?'}", "regex"),
        match("prefix: /pre", "prefix"),
        match("prefix: /prefix-later", "never"),
        match("path: /fold, case_sensitive: false", "folded"),
        match("path_separated_prefix: /Fold/Sep, case_sensitive: false", "folded separated"),
        match("prefix: /fold/pre, case_sensitive: false", "folded prefix"),
        match("path: '/a?b'", "never: a path has no query"),
    )
    assert found(table, stream(path)) == expected


def test_first_match_wins_over_the_more_specific_one() -> None:
    table = routes(
        match("prefix: /a/b", "1"),
        match("safe_regex: {regex: '/a/.*'}", "2"),
        match("prefix: /a", "3"),
        match("path: /a/c", "4"),
    )
    assert [found(table, stream(path)) for path in ("/a/b/x", "/a/c", "/ab")] == ["1", "2", "3"]


def test_a_route_that_asks_for_more_gives_way_to_later_ones() -> None:
    table = routes(
        match("path: /a, headers: [{name: x, string_match: {exact: '1'}}]", "by header"),
        match("safe_regex: {regex: /a}, headers: [{name: x, string_match: {exact: '2'}}]", "by regex and header"),
        match("prefix: /", "any"),
    )
    assert found(table, stream("/a", headers=[("x", "1")])) == "by header"
    assert found(table, stream("/a", headers=[("x", "2")])) == "by regex and header"
    assert found(table, stream("/a")) == "any"


PREFIXES = st.lists(st.tuples(st.sampled_from("eps"), st.text("ab/", max_size=4)), min_size=1, max_size=12)


@given(PREFIXES, st.text("ab/", max_size=6))
def test_the_index_finds_what_trying_every_route_in_order_would(specifiers: list[tuple[str, str]], rest: str) -> None:
    kinds = {"e": "path", "p": "prefix", "s": "path_separated_prefix"}
    # Envoy refuses a separated prefix that ends with a slash.
    texts = [(kind, f"/{text}" if kind != "s" else f"/{text}".rstrip("/") + "x") for kind, text in specifiers]
    table = routes(*[match(f"{kinds[kind]}: {text}", str(i)) for i, (kind, text) in enumerate(texts)])
    path = f"/{rest}"

    def takes(kind: str, text: str) -> bool:
        if kind == "s":
            return path == text or path.startswith(f"{text}/")
        return path == text if kind == "e" else path.startswith(text)

    expected = next((str(i) for i, (kind, text) in enumerate(texts) if takes(kind, text)), None)
    assert found(table, stream(path)) == expected


def test_path_parameters_are_ignored_where_asked() -> None:
    table = routes(match("path: /a", "a"), match("prefix: /p/q", "p"), ignore_path_parameters_in_path_matching="true")
    paths = ("/a;x", "/a;x/b?c", "/p;q/q;r/s", "/a?b;c")
    assert [found(table, stream(path)) for path in paths] == ["a", None, "p", "a"]


def test_connect() -> None:
    others = (match("prefix: /", "prefix"), match("safe_regex: {regex: '.*'}", "regex"))
    table = routes(match("connect_matcher: {}", "connect"), *others)
    assert found(table, stream("", host="a:443", method="CONNECT")) == "connect"
    assert found(table, stream("/")) == "prefix"
    without = routes(*others)
    assert found(without, stream("", host="a:443", method="CONNECT")) is None


def test_require_tls() -> None:
    host = (
        "{{name: {0}, domains: [{0}], require_tls: {1}, "
        "routes: [{{match: {{prefix: /}}, direct_response: {{status: 200}}}}]}}"
    )
    table = build(f"{{name: r, virtual_hosts: [{host.format('all', 'ALL')}, {host.format('ext', 'EXTERNAL_ONLY')}]}}")
    assert location(table, stream("/a?b", "all")) == "https://all/a?b"
    assert answer(table, stream("/a?b", "all")).status == 301
    assert answer(table, stream("/a", "all", scheme="https")).status == 200
    internal = [("x-envoy-internal", "true")]
    assert answer(table, stream("/a", "ext", headers=internal)).status == 200
    assert answer(table, stream("/a", "all", headers=internal)).status == 301
    assert answer(table, stream("/a", "ext")).status == 301


def test_ten_thousand_routes_are_found_by_look_ups() -> None:
    asked: list[str] = []

    class Counting(str):
        def __eq__(self, other: object) -> bool:
            asked.append(str(other))
            return str.__eq__(self, str(other))

        __hash__ = str.__hash__

    table = routes(*[match(f"prefix: /r{i}/", str(i)) for i in range(2000)])
    assert found(table, stream(Counting("/r1999/x"))) == "1999"
    assert len(asked) < 10


def test_no_route() -> None:
    table = routes(match("prefix: /a"))
    asking = stream("/b")
    reply = answer(table, asking)
    assert (reply.status, reply.flag, reply.details) == (404, "NR", "route_not_found")
    assert asking.manager.stats.no_route == 1


def test_what_all_indexes_remember_is_bounded() -> None:
    from meshproxy.routing import index

    memory = index._Memory()
    known: list[dict[str, index.Positions]] = [{} for _ in range(100)]
    for i in range(3 * index._MEMO_SIZE):
        memory.keep(known[i % 100], f"/{i}", (0,))
    assert sum(map(len, known)) <= index._MEMO_SIZE
