"""What routes make of path and host."""

import pytest

from tests.routing.tables import forwarded, routes, stream


def rewritten(
    monkeypatch: pytest.MonkeyPatch, match: str, action: str, path: str, host: str = "h", *headers: tuple[str, str]
) -> tuple[str, str, dict[str, str]]:
    """Path, host and the headers that remember what they were."""
    table = routes(f"{{match: {{{match}}}, route: {{cluster: origin, timeout: 0s, {action}}}}}")
    request = forwarded(monkeypatch, table, stream(path, host, headers=list(headers))).request
    kept = {name: value for name, value in request.pairs if name.startswith(("x-envoy-original", "x-forwarded-host"))}
    return request.path, request.authority, kept


REGEX = "regex_rewrite: {pattern: {regex: '^/regex/([^/]+)(/.*)?$'}, substitution: '\\2/by/\\1'}"


@pytest.mark.parametrize(
    ("match", "action", "path", "expected"),
    [
        ("prefix: /prefix/", "prefix_rewrite: /", "/prefix/a?b=c", "/a?b=c"),
        ("path: /exact", "prefix_rewrite: /new", "/exact?b=c", "/new?b=c"),
        ("path: /a", "prefix_rewrite: /b", "/a??", "/b??"),
        ("path_separated_prefix: /sep", "prefix_rewrite: /new", "/sep/a?b=c", "/new/a?b=c"),
        ("prefix: /case, case_sensitive: false", "prefix_rewrite: /new", "/CASE/a", "/new/a"),
        ("prefix: /a", "prefix_rewrite: /b/", "/ac", "/b/c"),
        ("safe_regex: {regex: '/r.*'}", "prefix_rewrite: /new", "/regex/x?y", "/new?y"),
        ("prefix: /regex", REGEX, "/regex/x/y?b=c", "/y/by/x?b=c"),
        ("prefix: /", "regex_rewrite: {pattern: {regex: a}, substitution: b}", "/banana?banana", "/bbnbnb?banana"),
        ("prefix: /", "path_rewrite: '/r/%REQ(x)%'", "/a?b", "/r/1?b"),
        ("prefix: /", "path_rewrite: '/q?c'", "/a?b", "/q?c?b"),
    ],
)
def test_paths(monkeypatch: pytest.MonkeyPatch, match: str, action: str, path: str, expected: str) -> None:
    changed, _, kept = rewritten(monkeypatch, match, action, path, "h", ("x", "1"))
    assert (changed, kept) == (expected, {"x-envoy-original-path": path})


def test_a_format_that_gives_nothing_leaves_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rewritten(monkeypatch, "prefix: /", "path_rewrite: '%REQ(none)%'", "/a?b") == ("/a?b", "h", {})


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("host_rewrite_literal: new", "new"),
        ("host_rewrite_header: X-New", "from-header"),
        ("host_rewrite_path_regex: {pattern: {regex: '^/([^/]+).*$'}, substitution: '\\1.example'}", "shop.example"),
        ("host_rewrite: '%REQ(x-new)%.x'", "from-header.x"),
        ("host_rewrite: '%REQ(none)%'", "-"),
    ],
)
def test_hosts(monkeypatch: pytest.MonkeyPatch, action: str, expected: str) -> None:
    _, host, kept = rewritten(monkeypatch, "prefix: /", action, "/shop/1?x", "h", ("x-new", "from-header"))
    assert (host, kept) == (expected, {"x-envoy-original-host": "h"})


def test_a_header_that_is_absent_leaves_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rewritten(monkeypatch, "prefix: /", "host_rewrite_header: x-new", "/") == ("/", "h", {})


@pytest.mark.parametrize(
    ("before", "after"), [(None, "h"), ("z", "z,h"), ("z, h", "z, h,h"), ("z,h", "z,h"), ("", "h")]
)
def test_forwarded_host(monkeypatch: pytest.MonkeyPatch, before: str | None, after: str) -> None:
    headers = [] if before is None else [("x-forwarded-host", before)]
    action = "host_rewrite_literal: new, append_x_forwarded_host: true"
    _, host, kept = rewritten(monkeypatch, "prefix: /", action, "/", "h", *headers)
    assert (host, kept["x-forwarded-host"]) == ("new", after)


def test_the_weighted_cluster_sets_the_host_before_the_route_does(monkeypatch: pytest.MonkeyPatch) -> None:
    weighted = "weighted_clusters: {clusters: [{name: origin, weight: 1, host_rewrite_literal: w}]}"
    table = routes(f"{{match: {{prefix: /}}, route: {{timeout: 0s, {weighted}}}}}")
    request = forwarded(monkeypatch, table, stream(host="h")).request
    assert (request.authority, request.get("x-envoy-original-host")) == ("w", None)
    table = routes(f"{{match: {{prefix: /}}, route: {{timeout: 0s, host_rewrite_literal: r, {weighted}}}}}")
    request = forwarded(monkeypatch, table, stream(host="h")).request
    assert (request.authority, request.get("x-envoy-original-host")) == ("r", "w")


def test_nothing_is_remembered_where_envoy_headers_are_suppressed(monkeypatch: pytest.MonkeyPatch) -> None:
    table = routes("{match: {prefix: /}, route: {cluster: origin, prefix_rewrite: /b/, host_rewrite_literal: new}}")
    asking = stream("/a", "h")
    asking.manager.terminal.suppress_envoy_headers = True  # type: ignore[attr-defined]
    request = forwarded(monkeypatch, table, asking).request
    assert (request.path, request.authority, request.pairs) == ("/b/a", "new", [("x-forwarded-proto", "http")])
