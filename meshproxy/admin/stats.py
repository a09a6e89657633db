"""/stats and /stats/prometheus."""

import time
from collections.abc import Callable

import re2

from meshproxy.admin.pages import JSON, TEXT, Answer, Request, page
from meshproxy.admin.server_view import Server
from meshproxy.observe.exposition import Buckets, Intervals, Selection, select, write_json, write_text
from meshproxy.observe.prometheus import write

_KINDS = ("Counters", "Gauges", "Histograms", "TextReadouts")
_BUCKETS: tuple[Buckets, ...] = ("cumulative", "disjoint", "detailed", "summary")
_intervals = Intervals()

_USED_ONLY = ("usedonly", "Only include stats that have been written by system since restart")
_FILTER = ("filter", "Regular expression (Google re2) for filtering stats")
_INVERT = ("invert_filter", "Invert the filter regex")


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
        buckets = _buckets(request)
        kind = _kind(request)
        if form not in ("", "text", "json"):
            raise Refused("usage: /stats?format=(html|active-html|json|prometheus|text)\n\n")
        found = _select(server, request, kind)
    except Refused as refused:
        return Answer(str(refused), 400)
    bounds = server.ctx.stats_config.bounds
    if form == "json":
        return Answer(write_json(found, buckets, bounds), content_type=JSON)
    return Answer(write_text(found, buckets, bounds))


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
        buckets = _buckets(request)
        found = _select(server, request, _kind(request))
    except Refused as refused:
        return Answer(str(refused), 400)
    if not request.flag("text_readouts"):
        found.texts = []
    config = server.ctx.stats_config
    if "application/openmetrics-text" in (request.headers.get("accept") or ""):
        from meshproxy.observe.openmetrics import CONTENT_TYPE, write_openmetrics

        return Answer(write_openmetrics(found, config.tags, config.bounds), content_type=CONTENT_TYPE)
    return Answer(write(found, config.tags, config.bounds, buckets == "summary"), content_type=TEXT)


def _select(server: Server, request: Request, kind: str) -> Selection:
    snapshot = server.snapshot()
    _intervals.look(snapshot.histograms, time.monotonic())
    shown = _shown(server, request)
    return select(snapshot, shown, request.flag("usedonly"), kind, _intervals.new)


def _shown(server: Server, request: Request) -> Callable[[str], bool]:
    accepted = server.ctx.stats_config.accepts
    pattern = request.query.get("filter", "")
    if not pattern:
        return accepted
    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(pattern, options).search
    except re2.error as error:
        reason = error.args[0]
        raise Refused(f"Invalid re2 regex: {reason.decode() if isinstance(reason, bytes) else reason}") from None
    if request.flag("invert_filter"):
        return lambda name: accepted(name) and search(name) is None
    return lambda name: accepted(name) and search(name) is not None


def _buckets(request: Request) -> Buckets:
    wanted = request.query.get("histogram_buckets", "")
    for buckets in ("", *_BUCKETS):
        if buckets == wanted:
            return buckets
    raise Refused(
        "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary|prometheusnative)\n"
    )


def _kind(request: Request) -> str:
    kind = request.query.get("type", "All")
    if kind in ("", "All"):
        return ""
    if kind not in _KINDS:
        raise Refused("invalid &type= param")
    return kind
