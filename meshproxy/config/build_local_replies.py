"""HttpConnectionManager.local_reply_config."""

from meshproxy.config.build_edits import build_header_value
from meshproxy.config.build_format import build_format
from meshproxy.config.build_log_filters import build_log_filter
from meshproxy.config.context import Context
from meshproxy.config.data_source import read_data_source
from meshproxy.config.view import View
from meshproxy.http.local_replies import BodyFormat, LocalReplies, Mapper
from meshproxy.routing.edits import HeaderEdit


def build_local_replies(view: View, ctx: Context) -> LocalReplies:
    mappers = []
    for i, each in enumerate(view.mappers):
        with view.at("mappers", i):
            mappers.append(_mapper(each, ctx))
    return LocalReplies(tuple(mappers), _format(view, "body_format"))


def _mapper(view: View, ctx: Context) -> Mapper:
    with view.at("filter"):
        matches = build_log_filter(view.filter, ctx)
    additions = []
    for i, option in enumerate(view.headers_to_add):
        with view.at("headers_to_add", i):
            additions.append(build_header_value(option))
    body = None
    if view.body:
        with view.at("body"):
            body = read_data_source(view.body)
    return Mapper(
        matches=matches,
        status=view.status_code,
        body=body,
        format=_format(view, "body_format_override"),
        edit=HeaderEdit(additions).apply if additions else None,
    )


def _format(view: View, field: str) -> BodyFormat | None:
    child = getattr(view, field)
    if not child:
        return None
    with view.at(field):
        text, content_type = build_format(child)
        return BodyFormat(text, content_type, child.which("format") == "json_format")
