"""envoy.extensions.filters.http.router.v3.Router."""

from meshproxy.config.view import View
from meshproxy.routing.router import Router


def build_router(view: View) -> Router:
    """The terminal filter of an HTTP chain."""
    if view.upstream_http_filters:
        view.reject("upstream_http_filters", "filters on the upstream side are not supported yet")
    view.ignore("start_child_span", why="tracing is not supported yet")
    view.ignore("upstream_log", "upstream_log_options", why="upstream access logs are not supported yet")
    view.ignore("suppress_grpc_request_failure_code_stats", why="gRPC failures are counted by their HTTP status")
    router = Router(view.suppress_envoy_headers)
    router.respect_expected_rq_timeout = view.respect_expected_rq_timeout
    router.dynamic_stats = view.get("dynamic_stats", True)
    router.strict_headers = tuple(view.strict_check_headers)
    return router
