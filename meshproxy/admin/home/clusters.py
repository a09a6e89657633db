"""The section of clusters: state, rate, errors and latency of each, its endpoints below."""

from collections.abc import Iterator
from typing import Any

from meshproxy.admin.home.charts import mark, sparkline
from meshproxy.admin.home.html import EMPTY, Html, fill, join
from meshproxy.admin.home.links import cluster_id
from meshproxy.admin.home.overview import ERRORS, FAILING, HEALTHY, ClusterView, Overview, words_of_state
from meshproxy.admin.home.words import count_text, many, milliseconds_text, rate_text, share_text
from meshproxy.observe.failure_facts import upstream_version
from meshproxy.upstream.endpoint import Endpoint

# A page of thousands would be of no use to a person: /clusters has all of them.
_SHOWN = 100
_ENDPOINTS = 50

_HEAD = """<section id="clusters" aria-labelledby="clusters-title">
<h2 id="clusters-title">Clusters</h2>
<table class="clusters">
<thead><tr><th scope="col">Cluster</th><th scope="col">State</th>
<th scope="col" class="n">Rate</th><th scope="col" class="n">Errors</th><th scope="col" class="n">p50</th>
<th scope="col" class="n">p90</th><th scope="col" class="n">p99</th><th scope="col" class="n">Active</th></tr></thead>
"""
_ROW = """<tbody id="{id}">
<tr>
<th scope="row" data-label="Cluster">{name}</th>
<td data-label="State" class="state {state}">{mark} {words}</td>
<td data-label="Rate" class="n rate">{spark}<span>{rate}/s</span></td>
<td data-label="Errors" class="n{bad}">{errors}</td>
<td data-label="p50" class="n">{p50}</td>
<td data-label="p90" class="n">{p90}</td>
<td data-label="p99" class="n">{p99}</td>
<td data-label="Active" class="n">{active}</td>
</tr>
"""
_ENDPOINT_HEAD = """<tr class="more"><td colspan="8">
<details id="{id}-endpoints"{open}><summary>{summary}</summary>
<table class="endpoints"><thead><tr><th scope="col">Endpoint</th><th scope="col">Health</th><th scope="col">Labels</th>
<th scope="col" class="n">{unit}</th><th scope="col" class="n">Errors</th><th scope="col" class="n">Timeouts</th>
<th scope="col" class="n">Connect failures</th><th scope="col" class="n">Open</th></tr></thead><tbody>
"""
_ENDPOINT = """<tr>
<th scope="row" data-label="Endpoint">{address}</th>
<td data-label="Health" class="state {state}">{mark} {health}</td>
<td data-label="Labels">{labels}</td>
<td data-label="{unit}" class="n">{total}</td>
<td data-label="Errors" class="n{bad}">{errors}</td>
<td data-label="Timeouts" class="n">{timeouts}</td>
<td data-label="Connect failures" class="n">{connect_fail}</td>
<td data-label="Open" class="n">{open}</td>
</tr>
"""


def clusters(overview: Overview) -> Iterator[Html]:
    """The worst first; among equals by name, so that rows stay where they are."""
    if not overview.clusters:
        yield Html('<section id="clusters"><h2>Clusters</h2><p class="empty">None is configured.</p></section>\n')
        return
    yield Html(_HEAD)
    for view in overview.clusters[:_SHOWN]:
        yield _cluster(view, overview.trend(view.stats))
        yield _endpoints(view)
    left = len(overview.clusters) - _SHOWN
    more = f"{many(left, 'more cluster')} not shown: " if left > 0 else ""
    yield fill(
        '</table>\n<p class="note">{more}<a href="clusters">As text</a>, <a href="clusters?format=json">as JSON</a>'
        "</p>\n</section>\n",
        more=more,
    )


def _cluster(view: ClusterView, trend: list[tuple[float, float]]) -> Html:
    rate, count = view.rate, view.count
    return fill(
        _ROW,
        id=cluster_id(view.name), name=view.name, state=view.state, mark=mark(view.state), words=words_of_state(view),
        spark=sparkline(trend), rate=rate_text(rate.done), errors=share_text(rate.share), bad=_bad(rate.failed),
        p50=milliseconds_text(rate.p50), p90=milliseconds_text(rate.p90), p99=milliseconds_text(rate.p99),
        active=count_text(count.active),
    )  # fmt: skip


def _endpoints(view: ClusterView) -> Html:
    endpoints = view.cluster.endpoints
    if not endpoints:
        return Html('<tr class="more"><td colspan="8" class="note">no endpoints</td></tr>\n</tbody>\n')
    unit = view.count.unit.capitalize()
    failing = _with_errors(view)
    rows = [_endpoint(each, unit, failing) for each in endpoints[:_ENDPOINTS]]
    left = len(endpoints) - _ENDPOINTS
    if left > 0:
        rows.append(fill('<tr><td colspan="8">{left} more</td></tr>\n', left=left))
    head = fill(
        _ENDPOINT_HEAD,
        id=cluster_id(view.name), unit=unit, summary=_summary(view),
        open=Html(" open") if view.state in (FAILING, ERRORS) else EMPTY,
    )  # fmt: skip
    return join([head, *rows, Html("</tbody></table></details></td></tr>\n</tbody>\n")])


def _with_errors(view: ClusterView) -> set[str]:
    """Addresses that are among the failures of now, whatever is known of their health."""
    failing = {failure.endpoint for failure in view.why}
    return {endpoint.address_text for endpoint in view.cluster.endpoints} & failing


def _summary(view: ClusterView) -> str:
    """`1 endpoint, healthy`, `3 endpoints, 2 healthy`, `3 endpoints, 1 with errors`"""
    total = len(view.cluster.endpoints)
    failing = len(_with_errors(view))
    shown, word = (failing, "with errors") if failing and total == view.healthy else (view.healthy, "healthy")
    number = "" if shown == total else f"{shown or 'none'} "
    return f"{many(total, 'endpoint')}, {number}{word}"


def _endpoint(endpoint: Endpoint, unit: str, failing: set[str]) -> Html:
    stats: Any = endpoint.stats
    flags = endpoint.health_flags
    state = ERRORS if flags or endpoint.address_text in failing else HEALTHY
    if any(flag.startswith("failed_") for flag in flags):
        state = FAILING
    health = ", ".join(flags).replace("_", " ")
    connections = unit == "Connections"
    return fill(
        _ENDPOINT,
        address=endpoint.address_text, state=state, mark=mark(state),
        health=health or ("has errors" if state == ERRORS else "healthy"), labels=_labels(endpoint), unit=unit,
        total=count_text(stats.cx_total if connections else stats.rq_total),
        errors=count_text(stats.rq_error), bad=_bad(stats.rq_error), timeouts=count_text(stats.rq_timeout),
        connect_fail=count_text(stats.cx_connect_fail), open=count_text(stats.cx_active),
    )  # fmt: skip


def _labels(endpoint: Endpoint) -> str:
    """What tells it from its siblings."""
    version = upstream_version(endpoint)
    zone = "/".join([each for each in endpoint.locality if each])
    labels = (
        endpoint.hostname, version, zone, "canary" if endpoint.canary else "",
        f"priority {endpoint.priority}" if endpoint.priority else "",
        f"weight {endpoint.weight}" if endpoint.weight != 1 else "",
    )  # fmt: skip
    return ", ".join([each for each in labels if each]) or "–"


def _bad(failed: int) -> Html:
    return Html(" bad") if failed else EMPTY
