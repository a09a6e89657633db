"""envoy.config.core.v3.SubstitutionFormatString, compiled."""

from typing import Any

from meshproxy.config import cel_operators  # noqa: F401  registers %CEL%
from meshproxy.config.data_source import read_data_source
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.structs import struct_dict
from meshproxy.config.view import View
from meshproxy.observe.formatter import Formatter, compile_format, compile_json_format, unmeasured
from meshproxy.observe.operators import Operator, Operators
from meshproxy.observe.operators_request import WITHOUT_QUERY

# What formatter extensions add; of those without operators of their own everything is built in.
_FORMATTERS: dict[str, Operators] = {
    "envoy.extensions.formatter.cel.v3.Cel": {},
    "envoy.extensions.formatter.metadata.v3.Metadata": {},
    "envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery": WITHOUT_QUERY,
}


def build_format(view: View) -> tuple[Formatter, str]:
    """The function from a stream to text, and the content type that goes with it."""
    extra = extra_operators(view)
    view.ignore("json_format_options", why="JSON properties are always sorted")
    omit = view.omit_empty_values
    kind = view.which("format")
    if kind is None:
        raise ConfigError("a format needs text_format, text_format_source or json_format")
    with view.at(kind):
        if kind == "json_format":
            tree = struct_dict(view.json_format.take())
            _warn(view, kind, tree)
            return compile_json_format(tree, omit, extra), view.content_type or "application/json"
        if kind == "text_format":
            text = view.text_format
        else:
            text = read_data_source(view.text_format_source).decode("utf-8", "surrogateescape")
        _warn(view, kind, text)
        return compile_format(text, "" if omit else "-", extra), view.content_type or "text/plain"


def extra_operators(view: View) -> Operators:
    found: dict[str, Operator] = {}
    for i, extension in enumerate(view.formatters):
        with view.at("formatters", i):
            config = typed_config(extension, *_FORMATTERS)
            found.update(_FORMATTERS[config.type_name])
            if config.type_name.endswith(".Cel"):
                config.ignore("cel_config", why="expressions have what Envoy gives them by default")
    return found


def _warn(view: View, kind: str, form: Any) -> None:
    """Names the operators that will always print as missing."""
    if names := unmeasured(form):
        view.ignore(kind, why=f"nothing here measures {', '.join(dict.fromkeys(names))}; the rest of the format counts")
