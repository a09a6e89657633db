"""The top of the page: who this is, whether all is well and if not why, and the numbers of the whole proxy."""

import time
from collections.abc import Iterator

from meshproxy.admin.home.charts import mark
from meshproxy.admin.home.html import EMPTY, Html, fill, join
from meshproxy.admin.home.links import cluster_link
from meshproxy.admin.home.overview import ClusterView, Overview, names
from meshproxy.admin.home.words import (
    clock_text,
    count_text,
    many,
    milliseconds_text,
    rate_text,
    share_text,
    span_text,
)
from meshproxy.observe.explain import explain, sentence

# Of the clusters in trouble, so many are explained at the top.
_EXPLAINED = 3
_NOT_LIVE = {"DRAINING": "Draining: new traffic is to go elsewhere"}
_STATES = {"LIVE": "healthy", "DRAINING": "errors"}


def header(overview: Overview) -> Html:
    server = overview.server
    node = server.ctx.node
    return fill(
        '<header><h1>meshproxy</h1><p class="who">{who}</p>'
        '<p class="state {state}">{mark} {word}</p></header>\n',
        who=" · ".join([each for each in (node.id, node.cluster) if each]),
        state=_STATES.get(server.state, "idle"),
        mark=mark(_STATES.get(server.state, "idle")),
        word=server.state.replace("_", " ").lower(),
    )


def summary(overview: Overview) -> Iterator[Html]:
    state, verdict = _verdict(overview)
    yield fill(
        '<section id="now" aria-labelledby="verdict" class="{state}">\n'
        '<h2 id="verdict" role="status">{mark} {verdict}</h2>\n',
        state=state, mark=mark(state), verdict=verdict,
    )  # fmt: skip
    troubled = [each for each in (*overview.failing, *overview.with_errors) if each.why][:_EXPLAINED]
    reasons = [_reason(each) for each in troubled]
    reasons += [fill("<li>{text}</li>\n", text=sentence(each)) for each in overview.astray[:1]]
    if reasons:
        yield fill('<ul class="why">\n{reasons}</ul>\n', reasons=join(reasons))
    yield fill('<dl class="tiles">\n{tiles}</dl>\n', tiles=join(_tiles(overview)))
    yield fill('<p class="note">Rates and times: {window}.</p>\n</section>\n', window=window_text(overview))


def window_text(overview: Overview) -> str:
    seconds = span_text(overview.window.seconds)
    return f"over the last {seconds}" if overview.window.live else f"since the start, {seconds} ago"


def _verdict(overview: Overview) -> tuple[str, str]:
    """No figures in it: it is read aloud when it changes."""
    failing, errors = overview.failing, overview.with_errors
    if failing:
        return "failing", f"{names(failing)} {'is' if len(failing) == 1 else 'are'} failing"
    if overview.server.state != "LIVE":
        return "errors", _NOT_LIVE.get(overview.server.state, "Starting: not all clusters are ready")
    if errors:
        with_failures = [each for each in errors if each.why or each.rate.failed]
        if with_failures:
            return "errors", f"Some requests to {names(with_failures)} fail"
        return "errors", f"Not all endpoints of {names(errors)} are healthy"
    if overview.astray:
        return "errors", "Some requests fail before they reach a cluster"
    if not overview.total.done and not any(each.rate.done for each in overview.clusters):
        return "idle", "Nothing is wrong, and nobody asks"
    return "healthy", "All is well"


def _reason(view: ClusterView) -> Html:
    rate = view.rate
    share = f"{share_text(rate.share)} of {rate_text(rate.done)} {view.count.unit}/s, " if rate.done else ""
    return fill(
        '<li>{cluster}: {why} <span class="note">({share}since {since}, {ago})</span></li>\n',
        cluster=cluster_link(view.name), why=explain(view.why[0]), share=share,
        since=clock_text(view.since), ago=span_text(time.time() - view.since),
    )  # fmt: skip


def _tiles(overview: Overview) -> Iterator[Html]:
    server, total = overview.server, overview.total
    yield _tile("Requests", rate_text(total.done), "per second")
    connections = sum(count.active for name, count in overview.readings.items() if name.startswith("listener."))
    alarming = total.failed and overview.window.live
    yield _tile("Errors", share_text(total.share), "answered 5xx", "bad" if alarming else "")
    yield _tile("Latency p99", milliseconds_text(total.p99), f"p50 {milliseconds_text(total.p50)}")
    yield _tile("Connections", count_text(connections), "from clients, open")
    ready = sum(each.state != "failing" for each in overview.clusters)
    yield _tile("Clusters", f"{ready}/{len(overview.clusters)}", "not failing", "bad" if overview.failing else "")
    yield _tile("Up", span_text(time.time() - server.started), many(max(1, server.options.concurrency), "worker"))


def _tile(name: str, value: str, unit: str, style: str = "") -> Html:
    return fill(
        '<div{style}><dt>{name}</dt><dd><b>{value}</b> <span>{unit}</span></dd></div>\n',
        name=name, value=value, unit=unit, style=Html(f' class="{style}"') if style else EMPTY,
    )  # fmt: skip
