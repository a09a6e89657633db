"""envoy.config.bootstrap.v3.Admin."""

from meshproxy.admin.admin import Admin
from meshproxy.admin.server_view import Server
from meshproxy.config.build_access_logs import build_access_logs
from meshproxy.config.build_addresses import socket_options
from meshproxy.config.build_listen_addresses import build_listen_address
from meshproxy.config.build_matchers import build_string_matcher
from meshproxy.config.view import View
from meshproxy.observe.access_log import AccessLog, log_all
from meshproxy.observe.formatter import DEFAULT_FORMAT, compile_format


def build_admin(view: View, server: Server) -> Admin | None:
    """The admin interface, not listening yet; None where the configuration gives it no address."""
    view.ignore("profile_path", why="there are no profilers")
    # Set or not, it is: an operator gets in when nobody else does.
    _ = view.ignore_global_conn_limit
    if not view.address:
        return None
    ctx = server.ctx
    with view.at("address"):
        address = build_listen_address(view.address)
    matchers = []
    for i, each in enumerate(view.allow_paths):
        with view.at("allow_paths", i):
            matchers.append(build_string_matcher(each, ctx))
    admin = Admin(ctx.loop, server, address, lambda path: not matchers or any(matches(path) for matches in matchers))
    logs = build_access_logs(view.access_log, ctx)
    if view.access_log_path:
        with view.at("access_log_path"):
            logs = (*logs, AccessLog(compile_format(DEFAULT_FORMAT), ctx.log_files.open(view.access_log_path).write))
    admin.set_log(log_all(logs))
    admin.set_socket_options(socket_options(view.socket_options))
    return admin
