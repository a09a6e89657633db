"""The section of listeners: where they listen, what they serve, and how busy they are."""

from collections.abc import Iterator

from meshproxy.admin.home.charts import mark, sparkline
from meshproxy.admin.home.html import EMPTY, Html, fill, join
from meshproxy.admin.home.links import cluster_link
from meshproxy.admin.home.overview import Overview
from meshproxy.admin.home.readings import Count
from meshproxy.admin.home.words import count_text, milliseconds_text, rate_text, share_text
from meshproxy.admin.listeners import addresses
from meshproxy.downstream.listener import Listener
from meshproxy.downstream.tcp_proxy import TcpProxy
from meshproxy.downstream.terminals import HttpTerminal
from meshproxy.net.connection import address_text

_HEAD = """<section id="listeners" aria-labelledby="listeners-title">
<h2 id="listeners-title">Listeners</h2>
<table class="listeners">
<thead><tr><th scope="col">Listener</th><th scope="col">State</th><th scope="col">Serves</th>
<th scope="col" class="n">Connections</th><th scope="col" class="n">Requests</th><th scope="col" class="n">Errors</th>
<th scope="col" class="n">p99</th></tr></thead>
<tbody>
"""
_ROW = """<tr>
<th scope="row" data-label="Listener">{name}<br> <span class="note">{addresses}</span></th>
<td data-label="State" class="state {state}">{mark} {word}</td>
<td data-label="Serves">{serves}</td>
<td data-label="Connections" class="n">{connections}</td>
<td data-label="Requests" class="n rate">{spark}<span>{rate}/s</span></td>
<td data-label="Errors" class="n{bad}">{errors}</td>
<td data-label="p99" class="n">{p99}</td>
</tr>
"""


def listeners(overview: Overview) -> Iterator[Html]:
    yield Html(_HEAD)
    yield from (_listener(each, overview) for each in overview.server.listeners)
    yield Html('</tbody></table>\n<p class="note"><a href="listeners">As text</a>, '
               '<a href="listeners?format=json">as JSON</a></p>\n</section>\n')  # fmt: skip


def _listener(listener: Listener, overview: Overview) -> Html:
    names = [f"http.{each}" for each in _stat_prefixes(listener)]
    rate = overview.window.rate(*names)
    state, word = _state(listener)
    return fill(
        _ROW,
        name=listener.name, addresses=", ".join([address_text(each) for each in addresses(listener)]), state=state,
        mark=mark(state), word=word, serves=join(dict.fromkeys(_serves(listener)), "<br>"),
        connections=count_text(overview.readings.get(listener.stat_prefix, Count()).active),
        spark=sparkline(overview.trend(names[0])) if len(names) == 1 else EMPTY,
        rate=rate_text(rate.done), errors=share_text(rate.share), bad=Html(" bad") if rate.failed else EMPTY,
        p99=milliseconds_text(rate.p99),
    )  # fmt: skip


def _state(listener: Listener) -> tuple[str, str]:
    if listener.sockets:
        return "healthy", "listening"
    return ("errors", "stopped") if listener.bind_to_port else ("healthy", "no port of its own")


def _stat_prefixes(listener: Listener) -> list[str]:
    """Of its HTTP connection managers."""
    terminals = [chain.terminal for chain in listener.chains]
    found = [each.manager.stat_prefix for each in terminals if isinstance(each, HttpTerminal)]
    return list(dict.fromkeys(found))


def _serves(listener: Listener) -> Iterator[Html]:
    """One line per kind of chain."""
    for chain in listener.chains:
        terminal = chain.terminal
        if isinstance(terminal, HttpTerminal):
            yield fill("HTTP, routes {name}", name=terminal.manager.routes.name or terminal.manager.stat_prefix)
        elif isinstance(terminal, TcpProxy):
            yield fill("TCP → {clusters}", clusters=join([cluster_link(name) for name, *_ in terminal.targets], ", "))
        else:
            yield fill("{kind}", kind=type(terminal).__name__)
