"""/stats and /stats/prometheus."""

import time
from collections.abc import Callable, Iterator
from functools import partial

from meshproxy.admin.pages import HTML, JSON, TEXT, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.admin.stats_filter import name_filter
from meshproxy.observe.exposition import Buckets, Intervals, write_text
from meshproxy.observe.exposition_json import write_json
from meshproxy.observe.families import Families
from meshproxy.observe.filter_metrics import filter_metrics
from meshproxy.observe.prometheus import OPENMETRICS, write_openmetrics
from meshproxy.observe.prometheus import write as write_prometheus
from meshproxy.observe.selection import Filter, Ordered, Selection
from meshproxy.observe.snapshot import Snapshot
from meshproxy.observe.stats import Kind

_ALL: frozenset[Kind] = frozenset({"counter", "gauge", "histogram", "text"})
_KINDS: dict[str, frozenset[Kind]] = {
    "": _ALL,
    "All": _ALL,
    "Counters": frozenset({"counter"}),
    "Gauges": frozenset({"gauge"}),
    "Histograms": frozenset({"histogram"}),
    "TextReadouts": frozenset({"text"}),
}
_BUCKETS: tuple[Buckets, ...] = ("none", "cumulative", "disjoint", "detailed", "summary", "prometheusnative")
_intervals = Intervals()

_USED_ONLY = ("usedonly", "Only include stats that have been written by system since restart")
_FILTER = ("filter", "Regular expression (Google re2) for filtering stats")
_INVERT = ("invert_filter", "Invert the filter regex")

_FORMS = ("", "text", "json", "html", "active-html")
# What the head of a page in HTML has.
_REFRESH = {"html": "", "active-html": "<meta http-equiv='refresh' content='5'>"}


class Refused(Exception):
    """The query cannot be understood; the text is the answer."""


@page(
    "/stats",
    "print server stats",
    _USED_ONLY,
    _FILTER,
    _INVERT,
    ("format", "Format to use; One of (html, active-html, text, json)"),
    ("type", "Stat types to include.; One of (All, Counters, Histograms, Gauges, TextReadouts)"),
    ("histogram_buckets", "Histogram bucket display mode; One of (cumulative, disjoint, detailed, summary)"),
    shows="stats",
)
def stats(server: Server, request: Request) -> Answer:
    form = request.query.get("format", "text")
    if form == "prometheus":
        return prometheus(server, request)
    try:
        selection, buckets = _read(request)
        if form not in _FORMS:
            raise Refused("usage: /stats?format=(html|active-html|json|prometheus|text)\n\n")
        if buckets == "prometheusnative":
            raise Refused("Invalid histogram_buckets type for non prometheus stats type")
    except Refused as refused:
        return Answer(str(refused), 400)
    write = write_json if form == "json" else write_text
    body = _page(server, selection, partial(write, buckets=buckets))
    if form in _REFRESH:
        return Answer(_in_html(body, _REFRESH[form]), content_type=HTML)
    return Answer(body, content_type=JSON if form == "json" else TEXT)


def _in_html(lines: Iterator[str], refresh: str) -> Iterator[str]:
    """The lines of text for a browser."""
    yield f"<!DOCTYPE html>\n<html lang='en'><head><title>Stats</title>{refresh}</head><body><pre>\n"
    for text in lines:
        # Texts are escaped already.
        yield text.replace("<", "&lt;")
    yield "</pre></body></html>\n"


def _page(server: Server, selection: Selection, write: Callable[..., Iterator[str]]) -> Iterator[str]:
    config = server.ctx.stats_config
    snapshot = Snapshot()
    for part in server.stat_parts():
        snapshot.add(*part)
        yield ""
    _intervals.look(time.monotonic())
    yield from write(Ordered(snapshot, selection, config.shapes), bounds=config.bounds, interval=_intervals.new)


@page(
    "/stats/prometheus",
    "print server stats in prometheus format",
    _USED_ONLY,
    ("text_readouts", "Render text_readouts as new gaugues with value 0 (increases Prometheus data size)"),
    _FILTER,
    _INVERT,
    ("histogram_buckets", "Histogram bucket display mode; One of (cumulative, summary)"),
    shows="stats",
)
def prometheus(server: Server, request: Request) -> Answer:
    try:
        selection, buckets = _read(request)
        if buckets in ("detailed", "disjoint"):
            raise Refused("unsupported prometheus histogram bucket mode")
        if buckets == "prometheusnative":
            raise Refused("unsupported prometheusnative histogram type when not using protobuf exposition format")
    except Refused as refused:
        return Answer(str(refused), 400)
    if selection.kinds:
        # `type` has to be one, and means nothing here.
        selection.kinds = _ALL if request.flag("text_readouts") else _ALL - {"text"}
    openmetrics = "application/openmetrics-text" in (request.headers.get("accept") or "")
    # Who filters by name means Envoy's names, which they do not have.
    others = "" if selection.names else filter_metrics(openmetrics)
    if openmetrics:
        write = partial(write_openmetrics, others=others)
        return Answer(_exposition(server, selection, write), content_type=OPENMETRICS)
    write = partial(write_prometheus, summaries=buckets in ("summary", "none"), others=others)
    return Answer(_exposition(server, selection, write))


def _exposition(server: Server, selection: Selection, write: Callable[..., Iterator[str]]) -> Iterator[str]:
    config = server.ctx.stats_config
    snapshot = Snapshot()
    for part in server.stat_parts():
        snapshot.add(*part)
        yield ""
    families = Families(selection, config.shapes)
    for part in snapshot.sorted():
        families.add(part)
        yield ""
    yield from write(families, config.bounds)
    config.shapes.forget(snapshot.groups)


def _read(request: Request) -> tuple[Selection, Buckets]:
    """What several pages ask for, looked at in Envoy's order."""
    names = _names(request)
    buckets = _buckets(request)
    kinds = _kinds(request)
    hidden = request.query.get("hidden", "")
    if hidden not in ("", "include", "only", "exclude"):
        raise Refused("usage: /stats?hidden=(include|only|exclude)\n\n")
    # No stat is a hidden one.
    return Selection(frozenset() if hidden == "only" else kinds, request.flag("usedonly"), names), buckets


def _names(request: Request) -> Filter | None:
    pattern = request.query.get("filter", "")
    if not pattern and request.flag("invert_filter"):
        raise Refused("invert_filter can only be used if filter is also provided")
    try:
        return name_filter(pattern, request.flag("invert_filter")) if pattern else None
    except ValueError as error:
        raise Refused(str(error)) from None


def _buckets(request: Request) -> Buckets:
    wanted = request.query.get("histogram_buckets", "")
    for buckets in ("", *_BUCKETS):
        if buckets == wanted:
            return buckets
    raise Refused("usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n")


def _kinds(request: Request) -> frozenset[Kind]:
    wanted = request.query.get("type", "")
    if wanted not in _KINDS:
        raise Refused("invalid &type= param")
    return _KINDS[wanted]
