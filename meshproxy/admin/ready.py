"""/ready: whether the process serves."""

from meshproxy.admin.pages import Answer, Request, page
from meshproxy.admin.server_view import Server


@page("/ready", "print server state, return 200 if LIVE, otherwise return 503")
def ready(server: Server, _request: Request) -> Answer:
    return Answer(f"{server.state}\n", 200 if server.state == "LIVE" else 503)
