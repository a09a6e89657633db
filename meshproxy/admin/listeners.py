"""/listeners: what is listened on."""

from typing import Any

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.downstream.listener import Listener
from meshproxy.net.connection import address_text, socket_address


@page("/listeners", "print listener info", ("format", "File format to use; One of (text, json)"))
def listeners(server: Server, request: Request) -> Answer:
    if request.query.get("format") == "json":
        statuses = map(_status, tuple(server.listeners))
        return Answer(dump({"listener_statuses": statuses} if server.listeners else {}), content_type=JSON)
    return Answer(
        f"{each.name}::{address_text(address)}\n"
        for each in tuple(server.listeners)
        for address in addresses(each)
    )


def addresses(listener: Listener) -> list[tuple[str, int]]:
    """Where it listens; what was configured where it does not listen (yet)."""
    if listener.sockets:
        return [socket_address(sock.getsockname()) for sock in listener.sockets]
    return [each.address for each in listener.addresses]


def address_tree(address: tuple[str, int]) -> dict[str, Any]:
    """An envoy.config.core.v3.Address as JSON."""
    host, port = address
    if not port and host.startswith(("/", "@")):
        return {"pipe": {"path": host}}
    return {"socket_address": {"address": host, "port_value": port}}


def _status(listener: Listener) -> dict[str, Any]:
    local, *more = [address_tree(address) for address in addresses(listener)]
    status: dict[str, Any] = {"name": listener.name, "local_address": local}
    if more:
        status["additional_local_addresses"] = more
    return status
