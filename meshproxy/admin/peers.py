"""/peers: who talked to whom, by the names in certificates; a page of ours that Envoy does not have."""

from datetime import UTC, datetime

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.observe.peers import Peer

_NONE = "nobody has shown a certificate\n"
_ARROWS = {"inbound": "called by", "outbound": "calls"}


@page(
    "/peers",
    "who talked to whom, by their certificates (not in Envoy)",
    ("format", "File format to use; One of (text, json)"),
    shows="peers",
)
def peers(server: Server, request: Request) -> Answer:
    """By direction and name."""
    form = request.query.get("format") or "text"
    if form not in ("text", "json"):
        return Answer("usage: /peers?format=(text|json)\n", 400)
    rows = server.peers()
    if form == "json":
        return Answer(dump({"peers": map(_tree, rows)}), content_type=JSON)
    return Answer("".join([_line(each) for each in rows]) or _NONE)


def _line(peer: Peer) -> str:
    """`spiffe://a/ns/b/sa/c called by spiffe://...: 12 requests, 2 of 3 connections open, last 2026-11-21T08:43:15Z`"""
    line = (
        f"{peer.own or 'without a certificate'} {_ARROWS[peer.direction]} {peer.identity}: {peer.requests} requests, "
        f"{peer.active} of {peer.connections} connections open, last {_time(peer.last)}"
    )
    return "".join([each if each.isprintable() else "\ufffd" for each in line]) + "\n"


def _tree(peer: Peer) -> dict[str, object]:
    return {**peer.tree(), "first": _time(peer.first), "last": _time(peer.last)}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
