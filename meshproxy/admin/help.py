"""/help: what there is, as text."""

from meshproxy.admin.pages import Answer, Request, help_text, page
from meshproxy.admin.server_view import Server


@page("/help", "print out list of admin commands")
def help(_server: Server, _request: Request) -> Answer:
    return Answer(help_text())
