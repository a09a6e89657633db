"""/drain_status: how far a drain has come."""

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import DrainStatus, Server


@page(
    "/drain_status",
    "how far a drain has come: what is left of each listener (not in Envoy)",
    ("format", "Format to use; One of (text, json)"),
    shows="drain",
)
def drain_status(server: Server, request: Request) -> Answer:
    status = server.drain_status()
    if request.query.get("format") == "json":
        return Answer(dump(_tree(status)), content_type=JSON)
    return Answer(_text(status))


def _text(status: DrainStatus) -> str:
    lines = [f"state: {status.state}{', then exit' if status.exits else ''}"]
    if status.seconds_left is not None:
        lines.append(f"seconds left: {status.seconds_left:.1f}")
    lines.append(f"connections: {status.connections}")
    lines.append(f"requests: {status.requests}")
    for each in status.listeners:
        what = "accepts" if each.accepts else "closed"
        lines.append(f"{each.name}: {what}, {each.connections} connections, {each.requests} requests")
    return "\n".join(lines) + "\n"


def _tree(status: DrainStatus) -> dict[str, object]:
    return {
        "state": status.state,
        "exits": status.exits,
        "seconds_left": None if status.seconds_left is None else round(status.seconds_left, 1),
        "connections": status.connections,
        "requests": status.requests,
        "listeners": [each._asdict() for each in status.listeners],
    }
