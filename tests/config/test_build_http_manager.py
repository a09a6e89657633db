"""What an HttpConnectionManager's configuration becomes, what is refused, and what is ignored by name."""

from typing import Any

import pytest

from meshproxy.config.build_http_manager import build_http_manager
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse
from meshproxy.config.view import View, unread
from meshproxy.testing import Bench

TYPES = "type.googleapis.com/envoy.extensions.filters."
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {"name": "router", "typed_config": {"@type": f"{TYPES}http.router.v3.Router"}}
BUFFER = {"name": "buffer", "typed_config": {"@type": f"{TYPES}http.buffer.v3.Buffer", "max_request_bytes": 1}}
UNKNOWN = {"name": "unknown", "typed_config": {"@type": "type.googleapis.com/envoy.config.core.v3.Node"}}


def filters(*chain: dict[str, Any]) -> Bench:
    return Bench(manager={"http_filters": list(chain)})


@pytest.mark.parametrize(
    "chain, reason",
    [
        ([ROUTER, BUFFER], "terminal filter named router of type .* must be the last filter in a http filter chain"),
        ([ROUTER, ROUTER], "terminal filter named router of type .* must be the last filter in a http filter chain"),
        ([BUFFER], "non-terminal filter named buffer of type .* is the last filter in a http filter chain"),
        ([{**ROUTER, "disabled": True}], "cannot be disabled by default"),
        ([{"name": "x"}, ROUTER], "Didn't find a registered implementation for 'x' with type URL: ''"),
        ([UNKNOWN, ROUTER], "unsupported extension: envoy.config.core.v3.Node"),
        ([{"name": "x", "config_discovery": {"type_urls": ["a/b"]}}, ROUTER], "config_discovery: not supported yet"),
    ],
)
def test_filter_chains_that_are_refused(chain: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        filters(*chain)


def test_filter_chains() -> None:
    assert [each.name for each in filters(BUFFER, BUFFER, ROUTER).http.filters] == ["buffer", "buffer"]
    assert filters({**UNKNOWN, "is_optional": True}, {**ROUTER, "is_optional": True}).http.filters == []
    assert filters({**BUFFER, "disabled": True}, ROUTER).http.hooks.request_headers == ()


def build(loop: Any, **fields: Any) -> tuple[Any, dict[str, str]]:
    """The manager, and the fields that are reported: path -> severity."""
    tree = {"stat_prefix": "in", "route_config": {"name": "r"}, "http_filters": [ROUTER], **fields}
    message, problems = parse(tree, MANAGER)
    assert not problems
    view = View(message)
    manager = build_http_manager(view, Context(loop), 1 << 20)
    return manager, {problem.path: problem.severity for problem in unread(view)}


def test_every_field_is_read_or_named() -> None:
    loop = Bench().loop
    _, reported = build(
        loop,
        codec_type="HTTP1", add_user_agent=True, tracing={}, http2_protocol_options={"max_concurrent_streams": 9},
        server_name="s", max_request_headers_kb=1, stream_idle_timeout="1s", request_timeout="1s",
        request_headers_timeout="1s", drain_timeout="1s", delayed_close_timeout="1s", use_remote_address=True,
        xff_num_trusted_hops=1, skip_xff_append=True, via="v", generate_request_id=True,
        preserve_external_request_id=True, always_set_request_id_in_response=True,
        forward_client_cert_details="APPEND_FORWARD", set_current_client_cert_details={"uri": True},
        proxy_100_continue=True, represent_ipv4_remote_address_as_ipv4_mapped_ipv6=True,
        upgrade_configs=[{"upgrade_type": "websocket"}], normalize_path=True, merge_slashes=True,
        path_with_escaped_slashes_action="KEEP_UNCHANGED", strip_any_host_port=True, strip_trailing_host_dot=True,
        stream_error_on_invalid_http_message=True, append_x_forwarded_port=True,
        stream_flush_timeout="1s",
        request_id_extension={"typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
            "pack_trace_reason": False, "use_request_id_for_trace_sampling": False}},
        common_http_protocol_options={"idle_timeout": "1s", "max_headers_count": 5, "max_stream_duration": "1s",
                                      "max_connection_duration": "1s", "max_requests_per_connection": 1,
                                      "max_connection_duration_jitter": {"value": 10},
                                      "headers_with_underscores_action": "DROP_HEADER",
                                      "max_response_headers_kb": 1},
        scheme_header_transformation={"scheme_to_overwrite": "https"},
        internal_address_config={"unix_sockets": True}, add_proxy_protocol_connection_state=True,
        local_reply_config={"body_format": {"text_format_source": {"inline_string": "x"}}},
    )  # fmt: skip
    assert set(reported.values()) == {"ignored"}
    assert {path.partition(".")[0] for path in reported} == {
        "add_proxy_protocol_connection_state", "common_http_protocol_options",
        "request_id_extension",
        "tracing",
    }  # fmt: skip


def test_limits_and_timeouts() -> None:
    loop = Bench().loop
    manager, _ = build(
        loop, max_request_headers_kb=2, delayed_close_timeout="0s", proxy_100_continue=True,
        common_http_protocol_options={"max_headers_count": 5, "max_requests_per_connection": 7},
    )  # fmt: skip
    assert (manager.http1.max_head, manager.http1.max_headers, manager.max_requests) == (2048, 5, 7)
    assert manager.delayed_close is None and manager.proxy_100_continue
    manager, _ = build(loop)
    assert (manager.http1.max_head, manager.http1.max_headers, manager.max_requests) == (60 * 1024, 100, 0)
    assert manager.delayed_close.seconds == 1.0 and not manager.proxy_100_continue
    assert manager.time.per_stream == ()


REFUSED = [
    ({"http3_protocol_options": {}}, "HTTP/3 is not supported"),
    ({"proxy_status_config": {}}, "proxy-status"),
    ({"path_normalization_options": {}}, "path_normalization_options"),
    ({"scheme_header_transformation": {"match_upstream": True}}, "match_upstream"),
    ({"codec_type": "HTTP3"}, "HTTP3 is not supported"),
    ({"strip_matching_host_port": True, "strip_any_host_port": True}, "only one of"),
    ({"request_id_extension": {"typed_config": {"@type": "type.googleapis.com/envoy.config.core.v3.Node"}}},
     "unsupported extension"),
    ({"route_config": None}, "route_config"),
]  # fmt: skip


@pytest.mark.parametrize("fields, reason", REFUSED)
def test_what_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build(Bench().loop, **fields)
