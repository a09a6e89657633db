"""The section of recent failures: what, why, where, how often and since when."""

from collections.abc import Iterator

from meshproxy.admin.home.html import EMPTY, Html, fill, join
from meshproxy.admin.home.links import cluster_link
from meshproxy.admin.home.overview import Overview
from meshproxy.admin.home.words import clock_text, count_text, moment
from meshproxy.observe.explain import flag_text, meaning, seconds_text, sentence
from meshproxy.observe.failures import Failure
from meshproxy.observe.flags import LONG_FLAGS

_SHOWN = 12

_HEAD = """<section id="failures" aria-labelledby="failures-title">
<h2 id="failures-title">Recent failures</h2>
"""
_TABLE = """<table class="failures">
<thead><tr><th scope="col">Last</th><th scope="col" class="n">Times</th><th scope="col">Flag</th>
<th scope="col">What happened</th><th scope="col">Where</th></tr></thead>
<tbody>
"""
_ROW = """<tr>
<td data-label="Last">{last}{first}</td>
<td data-label="Times" class="n">{count}</td>
<td data-label="Flag"><abbr title="{long}">{flags}</abbr></td>
<th scope="row" data-label="What"><p>{what}</p><p class="note">{request}Look at {look}.</p></th>
<td class="wide" data-label="Where">{where}</td>
</tr>
"""


def recent_failures(overview: Overview) -> Iterator[Html]:
    """Newest first."""
    yield Html(_HEAD)
    rows = overview.failures
    if not rows:
        yield Html('<p class="empty">Nothing has failed.</p>\n')
    else:
        yield Html(_TABLE)
        yield from (_row(each) for each in rows[:_SHOWN])
        yield Html("</tbody>\n</table>\n")
    left = max(0, len(rows) - _SHOWN)
    yield fill(
        '<p class="note">{more}<a href="failures">As text</a>, <a href="failures?format=json">as JSON</a></p>\n'
        "</section>\n",
        more=f"{left} more: " if left else "",
    )


def _row(failure: Failure) -> Html:
    first = EMPTY
    if failure.count > 1:
        first = fill('<br> <span class="note">since {at}</span>', at=clock_text(failure.first))
    return fill(
        _ROW,
        last=moment(failure.last), first=first, count=count_text(failure.count),
        long=", ".join([LONG_FLAGS.get(flag, flag) for flag in failure.flags]) or "answered 5xx, no response flag",
        flags=flag_text(failure), what=sentence(failure), request=_request(failure),
        look=meaning(failure).look, where=_where(failure),
    )  # fmt: skip


def _request(failure: Failure) -> str:
    if not failure.method:
        return ""
    answered = f"answered {failure.status}" if failure.status else "not answered"
    return f"{failure.method} {failure.host}{failure.path}, {answered} after {seconds_text(failure.elapsed)}. "


def _where(failure: Failure) -> Html:
    cluster = fill(" → {link}", link=cluster_link(failure.cluster)) if failure.cluster else EMPTY
    route = fill(" → {route}", route=failure.route) if failure.route else EMPTY
    listener = fill('<a href="#listeners">{name}</a>', name=failure.listener)
    return join([listener, route, cluster])
