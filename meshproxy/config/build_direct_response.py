"""envoy.config.route.v3.DirectResponseAction."""

from meshproxy.config.build_format import build_format
from meshproxy.config.data_source import read_data_source
from meshproxy.config.view import View
from meshproxy.routing.direct_response import DirectResponse


def build_direct_response(view: View, max_body: int) -> DirectResponse:
    """`max_body`: bytes, the table's max_direct_response_body_size_bytes."""
    body = b""
    if view.body:
        with view.at("body"):
            body = read_data_source(view.body, max_body)
    if not view.body_format:
        return DirectResponse(view.status, body)
    with view.at("body_format"):
        text, content_type = build_format(view.body_format)
    return DirectResponse(view.status, body, text, content_type)
