"""/failures: what failed of late and why, a page of ours that Envoy does not have."""

from datetime import UTC, datetime

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.observe.explain import explain, flag_text, meaning
from meshproxy.observe.failures import Failure

_NONE = "nothing has failed\n"


@page(
    "/failures",
    "recent failures, each explained (not in Envoy)",
    ("format", "File format to use; One of (text, json)"),
    shows="failures",
)
def failures(server: Server, request: Request) -> Answer:
    """Newest first."""
    form = request.query.get("format") or "text"
    if form not in ("text", "json"):
        return Answer("usage: /failures?format=(text|json)\n", 400)
    rows = server.failures()[::-1]
    if form == "json":
        return Answer(dump({"failures": map(_tree, rows)}), content_type=JSON)
    return Answer("".join([_line(each) for each in rows]) or _NONE)


def _line(failure: Failure) -> str:
    """`2026-11-21T08:43:15Z 12x UF: could not connect to …; GET shop/a -> 503 (listener edge, route all/r)`"""
    parts = [
        f"{_time(failure.last)} {failure.count}x {flag_text(failure)}: {explain(failure)}",
        f"{failure.method} {failure.host}{failure.path} -> {failure.status}" if failure.method else "",
        f"listener {failure.listener}" + (f", route {failure.route}" if failure.route else ""),
        f"since {_time(failure.first)}" if failure.count > 1 else "",
    ]
    line = "; ".join([part for part in parts if part])
    return "".join([each if each.isprintable() else "\ufffd" for each in line]) + "\n"


def _tree(failure: Failure) -> dict[str, object]:
    tree = failure.tree()
    tree.pop("facts")
    times = {"first": _time(failure.first), "last": _time(failure.last), "elapsed": round(failure.elapsed, 3)}
    return {**tree, **times, "explained": explain(failure), "look": meaning(failure).look}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
