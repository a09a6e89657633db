"""Actions of rate limits that are extensions: CEL expressions, and what matchers can ask of a request."""

from collections.abc import Callable
from typing import Any

from meshproxy.config.build_matchers import decoded_query_parameters, header_getter
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.http.stream import Stream
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.rate_limits import SKIP, Action, Entry

_EXPRESSION = "envoy.extensions.rate_limit_descriptors.expr.v3.Descriptor"
_HEADER = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
_QUERY = "envoy.type.matcher.v3.HttpRequestQueryParamMatchInput"


def build_extension_action(view: View) -> Action:
    """view: the TypedExtensionConfig."""
    config = typed_config(view, _EXPRESSION, _HEADER, _QUERY)
    if config.type_name == _EXPRESSION:
        return _expression(config)
    key = wire_text(view.name)
    if config.type_name == _HEADER:
        get = header_getter(config.header_name)
        return _of_input(key, lambda stream: get(stream.request))
    name = wire_text(config.query_param)
    return _of_input(key, lambda stream: decoded_query_parameters(stream.request.path).get(name))


def _of_input(key: str, read: Callable[[Stream], str | None]) -> Action:
    def entry(stream: Stream) -> Entry | tuple[()] | None:
        value = read(stream)
        if value is None:
            return None
        return (key, value) if value else SKIP

    return entry


def _expression(view: View) -> Action:
    kind = view.which("expr_specifier")
    if kind is None:
        raise ConfigError("Rate limit descriptor extension failed: expression specifier is not set")
    if kind == "parsed":
        view.reject("parsed", "expressions that were parsed elsewhere are not supported: write it as text")
    # 6 MB and 5 ms that most configurations do without.
    from meshproxy.config.cel import Fault, as_text, compile_cel

    with view.at("text"):
        try:
            evaluate = compile_cel(view.text)
        except ValueError as error:
            words = str(error).replace("Not able to parse expression", "Unable to parse descriptor expression")
            raise ConfigError(words) from None
    key = wire_text(view.descriptor_key)
    missing: Any = SKIP if view.skip_if_error else None

    def entry(stream: Stream) -> Any:
        try:
            return (key, as_text(evaluate(stream)))
        except Fault:
            return missing

    return entry
