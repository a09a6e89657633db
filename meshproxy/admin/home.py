"""/help, and / as a list of links to the pages."""

from html import escape

from meshproxy.admin.pages import HTML, PAGES, Answer, Request, help_text, page
from meshproxy.admin.server_view import Server

_TOP = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>meshproxy admin</title>
<style>
body { font-family: sans-serif; margin: 1rem; max-width: 60rem; }
table { border-collapse: collapse; width: 100%; }
td { padding: .4rem; vertical-align: top; border-bottom: 1px solid #ddd; }
td:first-child { width: 1%; white-space: nowrap; }
button { font: inherit; color: #069; background: none; border: none; padding: 0; text-decoration: underline; }
</style>
</head>
<body>
"""


@page("/help", "print out list of admin commands")
def help(_server: Server, _request: Request) -> Answer:
    return Answer(help_text())


@page("/", "Admin home page")
def home(server: Server, _request: Request) -> Answer:
    rows = []
    for path, each in sorted(PAGES.items()):
        if each.changes:
            link = f'<form action="{path[1:]}" method="post"><button>{escape(path[1:])}</button></form>'
        else:
            link = f'<a href="{path[1:] or "/"}">{escape(path[1:] or "home")}</a>'
        rows.append(f"<tr><td>{link}</td><td>{escape(each.help)}</td></tr>\n")
    head = f"<h1>meshproxy</h1>\n<p>{escape(server.version)}: {escape(server.state)}</p>\n"
    return Answer(f"{_TOP}{head}<table>\n{''.join(rows)}</table>\n</body>\n</html>\n", content_type=HTML)
