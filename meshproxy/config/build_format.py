"""envoy.config.core.v3.SubstitutionFormatString, compiled."""

from meshproxy.config.data_source import read_data_source
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.structs import struct_dict
from meshproxy.config.view import View
from meshproxy.observe.formatter import Formatter, compile_format, compile_json_format


def build_format(view: View) -> tuple[Formatter, str]:
    """The function from a stream to text, and the content type that goes with it."""
    for i, extension in enumerate(view.formatters):
        with view.at("formatters", i):
            typed_config(extension)
    view.ignore("json_format_options", why="JSON properties keep the order of the configuration")
    omit = view.omit_empty_values
    kind = view.which("format")
    if kind is None:
        raise ConfigError("a format needs text_format, text_format_source or json_format")
    with view.at(kind):
        if kind == "json_format":
            tree = struct_dict(view.json_format.take())
            return compile_json_format(tree, omit), view.content_type or "application/json"
        if kind == "text_format":
            text = view.text_format
        else:
            text = read_data_source(view.text_format_source).decode("utf-8", "surrogateescape")
        return compile_format(text, empty="" if omit else "-"), view.content_type or "text/plain"
