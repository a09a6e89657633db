"""Pages that tell the process to do something."""

from meshproxy.admin.pages import Answer, Request, page
from meshproxy.admin.server_view import Server


@page("/quitquitquit", "exit the server", changes=True)
def quit(server: Server, _request: Request) -> Answer:
    return Answer("OK\n", then=server.quit)


@page("/reset_counters", "reset all counters to zero", changes=True)
def reset_counters(server: Server, _request: Request) -> Answer:
    server.reset_counters()
    return Answer("OK\n")


@page("/reopen_logs", "reopen access logs", changes=True)
def reopen_logs(server: Server, _request: Request) -> Answer:
    server.reopen_logs()
    return Answer("OK\n")


@page("/healthcheck/fail", "cause the server to fail health checks", changes=True)
def fail_health_checks(server: Server, _request: Request) -> Answer:
    server.fail_health_checks(True)
    return Answer("OK\n")


@page("/healthcheck/ok", "cause the server to pass health checks", changes=True)
def pass_health_checks(server: Server, _request: Request) -> Answer:
    server.fail_health_checks(False)
    return Answer("OK\n")


@page(
    "/drain_listeners",
    "drain listeners",
    (
        "graceful",
        "When draining listeners, enter a graceful drain period prior to closing listeners. This behaviour and "
        "duration is configurable via server options or CLI",
    ),
    (
        "skip_exit",
        "When draining listeners, drain the connections but never stop the listeners. The graceful parameter has no "
        "effect when this is set, since the drain period only delays stopping the listeners",
    ),
    (
        "inboundonly",
        "Drains all inbound listeners. traffic_direction field in envoy_v3_api_msg_config.listener.v3.Listener is "
        "used to determine whether a listener is inbound or outbound.",
    ),
    changes=True,
)
def drain_listeners(server: Server, request: Request) -> Answer:
    server.drain_listeners(request.flag("graceful"), request.flag("skip_exit"), request.flag("inboundonly"))
    return Answer("OK\n")
