"""envoy.extensions.filters.http.router.v3.Router."""

from meshproxy.config.build_access_logs import build_access_logs
from meshproxy.config.context import Context
from meshproxy.config.view import View
from meshproxy.observe.access_log import log_all
from meshproxy.routing.logged_attempt import UpstreamLog
from meshproxy.routing.router import Router


def build_router(view: View, ctx: Context) -> Router:
    """The terminal filter of an HTTP chain."""
    if view.upstream_http_filters:
        view.reject("upstream_http_filters", "filters on the upstream side are not supported yet")
    view.ignore("start_child_span", why="tracing is not supported yet")
    view.ignore("suppress_grpc_request_failure_code_stats", why="gRPC failures are counted by their HTTP status")
    router = Router(view.suppress_envoy_headers)
    router.respect_expected_rq_timeout = view.respect_expected_rq_timeout
    router.dynamic_stats = view.get("dynamic_stats", True)
    router.strict_headers = tuple(view.strict_check_headers)
    log = log_all(build_access_logs(view.upstream_log, ctx))
    options = view.upstream_log_options
    on_start = options.flush_upstream_log_on_upstream_stream
    interval = options.seconds("upstream_log_flush_interval", 0.0) or 0.0
    if log is not None:
        router.log_tries(UpstreamLog(ctx.loop, log, on_start, interval))
    return router
