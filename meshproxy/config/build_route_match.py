"""envoy.config.route.v3.RouteMatch: how the index finds a route, and what else must hold."""

from ipaddress import ip_address, ip_network
from typing import Any

from meshproxy.config.build_matchers import (
    build_cookie_matcher,
    build_header_matcher,
    build_metadata_matcher,
    build_query_matcher,
    build_regex,
    build_string_matcher,
    cookies,
    query_parameters,
)
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.http.grpc import is_grpc
from meshproxy.http.stream import Stream
from meshproxy.net.runtime import Fraction
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.path_match import EXACT, PREFIX, SEPARATED_PREFIX, TEST, PathMatch, is_connect
from meshproxy.routing.route import Predicate
from meshproxy.routing.uri_template import UriTemplate

_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
_URI_TEMPLATE_MATCH = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"


def build_path_match(view: View, template: UriTemplate | None) -> PathMatch:
    """The path specifier; `template`: the one of path_match_policy, which the rewrite needs too."""
    kind = view.which("path_specifier")
    fold = view.get("case_sensitive") is False
    if kind == "path":
        return PathMatch(EXACT, wire_text(view.path), fold)
    if kind == "prefix":
        return PathMatch(PREFIX, wire_text(view.prefix), fold)
    if kind == "path_separated_prefix":
        return PathMatch(SEPARATED_PREFIX, wire_text(view.path_separated_prefix), fold)
    if kind == "connect_matcher":
        return PathMatch(TEST, test=is_connect)
    if kind == "safe_regex":
        with view.at("safe_regex"):
            takes = build_regex(view.safe_regex)
        return PathMatch(TEST, test=lambda _stream, path: path != "" and takes(path))
    if template is not None:
        matches = template.match
        return PathMatch(TEST, test=lambda _stream, path: matches(path) is not None)
    raise ConfigError("a route match needs a path specifier")


def build_template(view: View) -> UriTemplate | None:
    """The URI template of path_match_policy, if there is one."""
    if view.which("path_specifier") != "path_match_policy":
        return None
    with view.at("path_match_policy"):
        config = typed_config(view.path_match_policy, _URI_TEMPLATE_MATCH)
        with config.at("path_template"):
            return UriTemplate(wire_text(config.path_template))


def build_predicates(view: View, ctx: Context) -> tuple[Predicate, ...]:
    """Everything but the path, in Envoy's order."""
    predicates: list[Predicate] = []
    if view.runtime_fraction:
        predicates.append(_fraction(view.runtime_fraction, ctx))
    if view.grpc:
        predicates.append(lambda stream: is_grpc(stream.request))
    for i, header in enumerate(view.headers):
        with view.at("headers", i):
            predicates.append(_header(header, ctx))
    if view.query_parameters:
        predicates.append(_query(view, ctx))
    if view.cookies:
        predicates.append(_cookies(view, ctx))
    if view.tls_context:
        predicates.append(_tls(view.tls_context))
    for i, metadata in enumerate(view.dynamic_metadata):
        with view.at("dynamic_metadata", i):
            predicates.append(_metadata(metadata, ctx))
    for i, state in enumerate(view.filter_state):
        with view.at("filter_state", i):
            predicates.append(_filter_state(state, ctx))
    return tuple(predicates)


def build_fraction(view: View) -> Fraction:
    """envoy.config.core.v3.RuntimeFractionalPercent."""
    return build_percent(view.default_value, view.runtime_key)


def build_percent(view: View, key: str = "") -> Fraction:
    """envoy.type.v3.FractionalPercent. key: of the runtime."""
    return Fraction(view.numerator, _DENOMINATORS[view.enum("denominator")], key)


def _fraction(view: View, ctx: Context) -> Predicate:
    fraction = build_fraction(view)
    enabled = ctx.runtime.enabled
    return lambda stream: enabled(fraction, stream.random)


def _header(view: View, ctx: Context) -> Predicate:
    match = build_header_matcher(view, ctx)
    return lambda stream: match(stream.request)


def _query(view: View, ctx: Context) -> Predicate:
    matchers = []
    for i, parameter in enumerate(view.query_parameters):
        with view.at("query_parameters", i):
            matchers.append(build_query_matcher(parameter, ctx))

    def matches(stream: Stream) -> bool:
        parameters = query_parameters(stream.request.path)
        return all(match(parameters) for match in matchers)

    return matches


def _cookies(view: View, ctx: Context) -> Predicate:
    matchers = []
    for i, cookie in enumerate(view.cookies):
        with view.at("cookies", i):
            matchers.append(build_cookie_matcher(cookie, ctx))

    def matches(stream: Stream) -> bool:
        found = cookies(stream.request)
        return all(match(found) for match in matchers)

    return matches


def _tls(view: View) -> Predicate:
    presented, validated = view.presented, view.validated

    def matches(stream: Stream) -> bool:
        tls = stream.connection.tls
        if presented is not None and presented != (tls is not None and tls.peer is not None):
            return False
        return validated is None or validated == (tls is not None and tls.validated)

    return matches


def _metadata(view: View, ctx: Context) -> Predicate:
    match = build_metadata_matcher(view, ctx)
    return lambda stream: match(stream.metadata)


def _filter_state(view: View, ctx: Context) -> Predicate:
    key = view.key
    if view.which("matcher") == "address_match":
        match: Any = _address_matcher(view.address_match)
    else:
        with view.at("string_match"):
            match = build_string_matcher(view.string_match, ctx)

    def matches(stream: Stream) -> bool:
        state = stream.filter_state
        value = state.get(key) if state is not None else None
        if value is None and stream.connection.filter_state is not None:
            value = stream.connection.filter_state.get(key)
        return value is not None and match(str(value))

    return matches


def _address_matcher(view: View) -> Any:
    networks = []
    for i, each in enumerate(view.ranges):
        with view.at("ranges", i):
            networks.append(ip_network(f"{each.address_prefix}/{each.prefix_len or 0}", strict=False))

    def matches(text: str) -> bool:
        try:
            address = ip_address(text)
        except ValueError:
            return False
        return any(address in network for network in networks)

    return matches
