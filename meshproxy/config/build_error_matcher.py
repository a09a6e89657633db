"""Which responses outlier detection takes for errors (HttpProtocolOptions.outlier_detection.error_matcher)."""

from collections.abc import Callable

from meshproxy.config.build_matchers import build_header_matchers
from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.http.headers import ResponseHeaders

Predicate = Callable[[ResponseHeaders], bool]

_EXTENSION = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def build_error_matcher(cluster: View, ctx: Context) -> Predicate | None:
    """`cluster` is the cluster's View; None where it has no such matcher."""
    extension = cluster.typed_extension_protocol_options.get(_EXTENSION)
    if extension is None:
        return None
    options = extension.unpack()
    if not options.has("outlier_detection"):
        return None
    if not cluster.has("outlier_detection"):
        options.ignore("outlier_detection", why="the cluster has no outlier detection")
        return None
    detection = options.outlier_detection
    with detection.at("error_matcher"):
        return _build(detection.error_matcher, ctx)


def _build(view: View, ctx: Context) -> Predicate:
    """envoy.config.common.matcher.v3.MatchPredicate, of which only response headers can be looked at here."""
    kind = view.which("rule") or ""
    with view.at(kind):
        if kind in ("or_match", "and_match"):
            together = any if kind == "or_match" else all
            parts = [_build(each, ctx) for each in getattr(view, kind).rules]
            return lambda headers: together(part(headers) for part in parts)
        if kind == "not_match":
            part = _build(view.not_match, ctx)
            return lambda headers: not part(headers)
        if kind == "any_match":
            # The constraints of the field allow no other value.
            said: bool = view.any_match
            return lambda headers: said
        if kind == "http_response_headers_match":
            return build_header_matchers(view.http_response_headers_match.headers, ctx)
    view.ignore(kind, why="as in Envoy, only the headers of responses are looked at: it never matches")
    return lambda headers: False
