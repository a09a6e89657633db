"""/certs: the certificates in use. There is no TLS yet, so there are none."""

from meshproxy.admin.json_page import dump
from meshproxy.admin.pages import JSON, Answer, Request, page
from meshproxy.admin.server_view import Server


@page("/certs", "print certs on machine")
def certs(_server: Server, _request: Request) -> Answer:
    return Answer(dump({"certificates": []}), content_type=JSON)
