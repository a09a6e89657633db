"""The section of peers: who talked to whom, as their certificates say. It is there where somebody showed one."""

from collections.abc import Iterator

from meshproxy.admin.home.html import Html, fill
from meshproxy.admin.home.overview import Overview
from meshproxy.admin.home.words import count_text, moment
from meshproxy.observe.peers import Peer

_SHOWN = 50
_HEAD = """<section id="peers" aria-labelledby="peers-title">
<h2 id="peers-title">Who talked to whom</h2>
<table class="peers">
<thead><tr><th scope="col">Caller</th><th scope="col">Called</th><th scope="col" class="n">Requests</th>
<th scope="col" class="n">Connections</th><th scope="col">Last</th></tr></thead>
<tbody>
"""
_ROW = """<tr>
<th scope="row" class="wide" data-label="Caller">{caller}</th>
<td class="wide" data-label="Called">{called}</td>
<td data-label="Requests" class="n">{requests}</td>
<td data-label="Connections" class="n">{active} of {connections}</td>
<td data-label="Last">{last}</td>
</tr>
"""


def peers(overview: Overview) -> Iterator[Html]:
    rows = overview.peers
    if not rows:
        return
    yield Html(_HEAD)
    yield from (_row(each) for each in rows[:_SHOWN])
    left = max(0, len(rows) - _SHOWN)
    yield fill(
        '</tbody></table>\n<p class="note">{more}<a href="peers">As text</a>, <a href="peers?format=json">as JSON</a>'
        "</p>\n</section>\n",
        more=f"{left} more: " if left else "",
    )


def _row(peer: Peer) -> Html:
    us = fill('{name} <span class="note">(here)</span>', name=peer.own or "no certificate")
    inbound = peer.direction == "inbound"
    return fill(
        _ROW,
        caller=peer.identity if inbound else us, called=us if inbound else peer.identity,
        requests=count_text(peer.requests), active=count_text(peer.active), connections=count_text(peer.connections),
        last=moment(peer.last),
    )  # fmt: skip
