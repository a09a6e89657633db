"""Where redirects lead."""

import pytest

from tests.routing.tables import answer, location, routes, stream


def redirect(
    fields: str, path: str = "/a?b=c", host: str = "h.com", scheme: str = "http", match: str = "prefix: /a"
) -> str | None:
    table = routes(f"{{match: {{{match}}}, redirect: {{{fields}}}}}")
    return location(table, stream(path, host, scheme=scheme, headers=[("x", "1"), ("y", "q?r")]))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("host_redirect: new", "http://new/a?b=c"),
        ("port_redirect: 8443", "http://h.com:8443/a?b=c"),
        ("path_redirect: /new", "http://h.com/new?b=c"),
        ("path_redirect: '/new?own=1'", "http://h.com/new?own=1"),
        ("path_redirect: '/new?own=1', strip_query: true", "http://h.com/new?own=1"),
        ("path_redirect: /new, strip_query: true", "http://h.com/new"),
        ("strip_query: true, host_redirect: new", "http://new/a"),
        ("prefix_rewrite: /other", "http://h.com/other?b=c"),
        ("regex_rewrite: {pattern: {regex: '/(.)'}, substitution: '/x\\1'}", "http://h.com/xa?b=c"),
        ("path_rewrite: '/q%REQ(x)%'", "http://h.com/q1?b=c"),
        ("path_rewrite: '/%REQ(y)%'", "http://h.com/q?r"),
        ("path_rewrite: '%REQ(none)%'", "http://h.com/a?b=c"),
        ("scheme_redirect: ftp", "ftp://h.com/a?b=c"),
        ("https_redirect: true, port_redirect: 443", "https://h.com:443/a?b=c"),
    ],
)
def test_parts(fields: str, expected: str) -> None:
    assert redirect(fields) == expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("h.com:80", "https://h.com/a"),
        ("h.com:8080", "https://h.com:8080/a"),
        ("h.com:443", "https://h.com:443/a"),
        ("[::1]:80", "https://[::1]/a"),
        ("[::1]", "https://[::1]/a"),
    ],
)
def test_a_port_goes_with_the_scheme_that_it_says(host: str, expected: str) -> None:
    assert redirect("https_redirect: true", "/a", host) == expected


def test_the_port_is_replaced() -> None:
    assert redirect("port_redirect: 1", "/a", "h.com:8080") == "http://h.com:1/a"


def test_the_scheme_is_that_of_the_request() -> None:
    assert redirect("path_redirect: /new", "/a", scheme="https") == "https://h.com/new"


def test_regex_rewrites_the_path_of_any_match() -> None:
    fields = "regex_rewrite: {pattern: {regex: '^/regex/([^/]+)/(.*)$'}, substitution: '/\\2/at/\\1'}"
    assert redirect(fields, "/regex/x/y?b=c", match="prefix: /reg") == "http://h.com/y/at/x?b=c"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("MOVED_PERMANENTLY", 301),
        ("FOUND", 302),
        ("SEE_OTHER", 303),
        ("TEMPORARY_REDIRECT", 307),
        ("PERMANENT_REDIRECT", 308),
    ],
)
def test_status(code: str, status: int) -> None:
    asking = stream()
    reply = answer(routes(f"{{match: {{prefix: /}}, redirect: {{host_redirect: h, response_code: {code}}}}}"), asking)
    assert (reply.status, reply.body, reply.details) == (status, b"", "direct_response")
    assert asking.manager.stats.rq_direct_response == 1


def test_logs_know_the_path_as_it_was() -> None:
    asking = stream("/a/b?c")
    answer(routes("{match: {prefix: /a}, redirect: {prefix_rewrite: /z}}"), asking)
    assert asking.request.get("x-envoy-original-path") == "/a/b?c"
