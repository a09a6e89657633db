"""The page itself: what stands around its sections, and what it may load."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

from meshproxy.admin.home.clusters import clusters
from meshproxy.admin.home.commands import commands
from meshproxy.admin.home.failures import recent_failures
from meshproxy.admin.home.history import History
from meshproxy.admin.home.html import fill, wire
from meshproxy.admin.home.listeners import listeners
from meshproxy.admin.home.overview import look
from meshproxy.admin.home.peers import peers
from meshproxy.admin.home.routes import routes
from meshproxy.admin.home.summary import header, summary
from meshproxy.admin.pages import HTML, Answer
from meshproxy.admin.server_view import Server

_HERE = Path(__file__).parent
_STYLE = (_HERE / "style.css").read_text("ascii")
_SCRIPT = (_HERE / "script.js").read_text("ascii")
# A circle, as the mark of what is well.
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E"
    "%3Ccircle cx='4' cy='4' r='3'/%3E%3C/svg%3E"
)

_history = History()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# Nothing runs and nothing is loaded but what is written on the page, and nobody may frame it.
_POLICY = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_TOP = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}}</title>
<link rel="icon" href="{_ICON}">
<noscript><meta http-equiv="refresh" content="10"></noscript>
<style>{_STYLE.replace("{", "{{").replace("}", "}}")}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<div id="page">
"""
_NAVIGATION = """<nav aria-label="Sections"><ul>
<li><a href="#failures">Failures</a></li>
<li><a href="#clusters">Clusters</a></li>
<li><a href="#listeners">Listeners</a></li>
<li><a href="#routes">Routes</a></li>
<li><a href="#commands">Commands</a></li>
</ul></nav>
<main id="main" tabindex="-1">
"""
_BOTTOM = f"""</main>
<footer><p>{{version}}</p></footer>
</div>
<script>{_SCRIPT.replace("{", "{{").replace("}", "}}")}</script>
</body>
</html>
"""


def document(server: Server) -> Answer:
    return Answer(
        (wire(piece) for piece in _pieces(server)),
        content_type=HTML,
        headers=[("content-security-policy", _POLICY), ("referrer-policy", "no-referrer")],
    )


def _pieces(server: Server) -> Iterator[str]:
    overview = yield from look(server, _history)
    state = "failing" if overview.failing else overview.server.state.lower()
    name = overview.server.ctx.node.id or "meshproxy"
    yield fill(_TOP, title=f"{state}: {name}")
    yield header(overview)
    yield _NAVIGATION
    yield from summary(overview)
    yield from recent_failures(overview)
    yield from clusters(overview)
    yield from peers(overview)
    yield from listeners(overview)
    yield from routes(overview)
    yield from commands()
    yield fill(_BOTTOM, version=overview.server.version)
