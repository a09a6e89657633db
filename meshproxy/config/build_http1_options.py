"""How HTTP/1 is written and read (envoy.config.core.v3.Http1ProtocolOptions, HttpProtocolOptions), for either side."""

from meshproxy.config.view import View
from meshproxy.http.h1_head import Http1Options

_PRESERVE_CASE = "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"


def read_http1_options(options: Http1Options, view: View) -> None:
    """What `http_protocol_options` says goes into `options`."""
    options.accept_http_10 = view.accept_http_10
    options.default_host_for_http_10 = view.default_host_for_http_10
    options.enable_trailers = view.enable_trailers
    options.allow_absolute_url = view.get("allow_absolute_url", True)
    options.allow_custom_methods = view.allow_custom_methods
    options.allow_chunked_length = view.allow_chunked_length
    options.send_fully_qualified_url = view.send_fully_qualified_url
    view.ignore("use_balsa_parser", why="there is one parser")
    _read_key_format(options, view.header_key_format)


def _read_key_format(options: Http1Options, view: View) -> None:
    kind = view.which("header_format")
    if kind == "proper_case_words":
        options.key_format = "proper" if view.proper_case_words is not None else ""
    elif kind == "stateful_formatter":
        extension = view.stateful_formatter
        _ = extension.name  # the type says which formatter it is
        if extension.typed_config.type_name != _PRESERVE_CASE:
            extension.reject("typed_config", f"unsupported extension: {extension.typed_config.type_name}")
        formatter = extension.typed_config.unpack()
        options.key_format = "preserve"
        options.forward_reason_phrase = formatter.forward_reason_phrase
        options.proper_own_headers = formatter.enum("formatter_type_on_envoy_headers") == "PROPER_CASE"
