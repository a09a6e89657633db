"""Hash policies: of routes and of clusters (RouteAction.HashPolicy), and of TCP (envoy.type.v3.HashPolicy)."""

from meshproxy.config.build_rewrites import build_substitution
from meshproxy.config.view import View
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.hash_policy import (
    Cookie,
    HashPolicy,
    Method,
    by_filter_state,
    by_header,
    by_query,
    by_source_ip,
)
from meshproxy.routing.path_match import fold_case


def build_hash_policy(views: list[View]) -> HashPolicy | None:
    """None where there is nothing to hash."""
    methods = []
    for view in views:
        method = _method(view)
        terminal = view.terminal
        if method is not None:
            methods.append((method, terminal))
    return HashPolicy(methods) if methods else None


def build_tcp_hash_policy(views: list[View]) -> HashPolicy | None:
    """The one policy that a TCP proxy may have."""
    methods: list[tuple[Method, bool]] = []
    for view in views:
        if view.which("policy_specifier") == "filter_state":
            methods.append((by_filter_state(view.filter_state.key), False))
        elif view.has("source_ip"):
            methods.append((by_source_ip, False))
    return HashPolicy(methods) if methods else None


def _method(view: View) -> Method | None:
    kind = view.which("policy_specifier")
    if kind == "header":
        rewrite = build_substitution(view.header.regex_rewrite) if view.header.regex_rewrite else None
        return by_header(fold_case(wire_text(view.header.header_name)), rewrite)
    if kind == "cookie":
        cookie = view.cookie
        seconds = int(cookie.ttl) if cookie.has("ttl") else None
        attributes = [(wire_text(each.name), wire_text(each.value)) for each in cookie.attributes]
        return Cookie(wire_text(cookie.name), seconds, wire_text(cookie.path), attributes)
    if kind == "connection_properties":
        return by_source_ip if view.connection_properties.source_ip else None
    if kind == "query_parameter":
        return by_query(wire_text(view.query_parameter.name))
    return by_filter_state(view.filter_state.key)
