"""What formats print. Expectations were taken from Envoy 1.40 with the same formats."""

import json
import time

import pytest

from meshproxy.observe.formatter import DEFAULT_FORMAT, compile_format, compile_json_format, unmeasured
from meshproxy.observe.operators import TABLE
from tests.observe.exchanges import exchange, forwarded, tcp


@pytest.mark.parametrize(
    "text, reason",
    [
        ("%FOO%", "Not supported field in StreamInfo: FOO"),
        ("%REQ%", "REQ requires parameters"),
        ("%REQ()%", "REQ requires parameters"),
        ("%REQ(A", "Incorrect configuration: %REQ(A. Couldn't find valid command at position 0"),
        ("%REQ(A):X%", "Incorrect configuration: %REQ(A):X%. Couldn't find valid command at position 0"),
        ("%REQ(a?b?c)%", "More than 1 alternative header specified in token: a?b?c"),
        ("100%", "Incorrect configuration: 100%. Couldn't find valid command at position 3"),
        ("%%%", "Incorrect configuration: %%%. Couldn't find valid command at position 2"),
        ("%PROTOCOL:3%", "PROTOCOL does not take any parameters or length"),
        ("%PROTOCOL(a)%", "PROTOCOL does not take any parameters or length"),
        ("%protocol%", "Incorrect configuration: %protocol%. Couldn't find valid command at position 0"),
        ("%START_TIME:3%", "START_TIME does not allow length to be specified."),
        ("%GRPC_STATUS(FOO)%", "GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: FOO"),
        ("%PATH(XX)%", "Invalid PATH option: 'XX', only 'WQ'/'NQ' are allowed"),
        ("%PATH(WQ:X)%", "Invalid PATH option: 'X', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed"),
        ("%METADATA(FOO:a)%", "FOO is not supported type of metadata"),
        ("%FILTER_STATE%", "Invalid filter state configuration, key cannot be empty."),
        ("%FILTER_STATE(a:FOO)%", "Invalid filter state serialize type, only support PLAIN/TYPED/FIELD."),
        (
            "%FILTER_STATE(a:FIELD)%",
            "Invalid filter state serialize type, FIELD should be used with the field name.",
        ),
        ("%COMMON_DURATION(A)%", "Invalid common duration configuration: A."),
        ("%REQ(a b)%", "Invalid header configuration. Format string contains invalid characters."),
        ("%RESP(a?:b:c)%", "Invalid header configuration. Format string contains invalid characters."),
        ("%START_TIME(%n)%", "Invalid header configuration. Format string contains newline."),
        ("%DOWNSTREAM_PEER_CERT_V_START(%-n)%", "Invalid header configuration. Format string contains newline."),
        (
            "%REQ(A):18446744073709551616%",
            "Incorrect configuration: %REQ(A):18446744073709551616%. Couldn't find valid command at position 0",
        ),
        (
            "%FILTER_STATE(a:FIELD:)%",
            "Invalid filter state serialize type, FIELD should be used with the field name.",
        ),
        (
            '%COALESCE({"operators":["REQ"]})%',
            "COALESCE: failed to parse operator at index 0: REQ requires parameters",
        ),
        (
            '%COALESCE({"operators":[{"command":"REQ","param":1}]})%',
            "COALESCE: failed to parse operator at index 0: 'param' must be a string",
        ),
        (
            '%COALESCE({"operators":[{"command":"REQ","param":"a","max_length":0}]})%',
            "COALESCE: failed to parse operator at index 0: 'max_length' must be a positive integer",
        ),
        ("%COMMON_DURATION(A:B:xx)%", "Invalid common duration precision: xx."),
        ("%COALESCE({})%", "COALESCE: JSON configuration must contain 'operators' array"),
        (
            '%COALESCE({"operators":["FOO"]})%',
            "COALESCE: failed to parse operator at index 0: unknown command: 'FOO'",
        ),
        (
            "%REQUESTED_SERVER_NAME(X)%",
            "Invalid REQUESTED_SERVER_NAME option: 'X', only 'SNI_ONLY'/'SNI_FIRST'/'HOST_FIRST' are allowed",
        ),
    ],
)
def test_refused_in_envoys_words(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as error:
        compile_format(text)
    assert str(error.value) == reason


@pytest.mark.parametrize(
    "text, printed",
    [
        ("plain", "plain"),
        ("100%% %PROTOCOL% %PROTOCOL()%", "100% HTTP/1.1 HTTP/1.1"),
        ("%PATH(NQ:ORIG:and more)% %REQUESTED_SERVER_NAME(SNI_ONLY:HOST:and more)%", "- -"),
        ("%REQ(X-Twice)%", "a"),
        ("%REQ(x-empty)%|", "|"),
        ("%REQ(x-none)%", "-"),
        ("%REQ(x-none?x-long):3%", "abc"),
        ("%REQ(x-long):0%|", "|"),
        ("%REQUEST_HEADER(:METHOD)% %REQ(:path)% %REQ(host)%", "GET /a?x=1&y=b%20c%41 shop.example"),
        ("%RESP(:status)% %RESP(x-twice)%", "200 1"),
        ("%TRAILER(x-tail)%", "yes"),
        ("%PATH% %PATH(NQ)% %PATH(WQ):4%", "/a?x=1&y=b%20c%41 /a /a?x"),
        ("%QUERY_PARAM(x)% %QUERY_PARAM(y)% %QUERY_PARAM(z)%", "1 b cA -"),
        ("%QUERY_PARAMS% %QUERY_PARAMS(DECODED)%", "x=1&y=b%20c%41 x=1&y=b%20cA"),
        ("%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS%", "200 via_upstream -"),
        ("%GRPC_STATUS% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%", "NotFound NOT_FOUND 5"),
        ("%UPSTREAM_CLUSTER% %UPSTREAM_CLUSTER_RAW%", "seen reviews reviews"),
        ("%UPSTREAM_HOST% %UPSTREAM_HOST_NAME% %UPSTREAM_REMOTE_PORT%", "10.0.0.7:9080 reviews.local 9080"),
        ("%UPSTREAM_LOCAL_ADDRESS% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", "10.0.0.1:5555 10.0.0.1"),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT%", "2"),
        ("%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", "10.1.2.3:4567 10.9.9.9"),
        ("%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_PORT%", "127.0.0.1:8080 8080"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)%", "10.1.0.0/16"),
        ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(99)%", "10.0.0.7/32"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(a)%", "10.1.2.3"),
        ("%FILTER_CHAIN_NAME%", "chain 1"),
        ("%DYNAMIC_METADATA(ns)%", '{"b":true,"n":5,"s":{"x":"yyyyy"}}'),
        ("%DYNAMIC_METADATA(ns):7%", '{"b":tr'),
        ("%DYNAMIC_METADATA(ns:n)% %DYNAMIC_METADATA(ns:b)% %DYNAMIC_METADATA(ns:s:x):3%", "5 true yyy"),
        ("%DYNAMIC_METADATA(ns:none)% %DYNAMIC_METADATA(none)%", "- -"),
        ("%CLUSTER_METADATA(cm:k)% %UPSTREAM_METADATA(em:k)%", "of the cluster of the host"),
        ("%METADATA(LISTENER:lm:k)% %METADATA(DYNAMIC:ns:n)%", "of the listener 5"),
        ("%FILTER_STATE(key)% %FILTER_STATE(key:PLAIN)% %FILTER_STATE(key:PLAIN):2%", '"kept" kept ke'),
        ('%COALESCE({"operators":[{"command":"REQ","param":"x-none"},"RESPONSE_CODE"]})%', "200"),
        ("%REQUESTED_SERVER_NAME% %REQUESTED_SERVER_NAME(SNI_FIRST)%", "- shop.example"),
        ("%ENVIRONMENT(MESHPROXY_NOT_SET)%", "-"),
        ("%ACCESS_LOG_TYPE%", "DownstreamEnd"),
        ("%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_PEER_URI_SAN%", "- -"),
        ("é%PROTOCOL%", "Ã©HTTP/1.1"),
    ],
)
def test_text(text: str, printed: str) -> None:
    stream = forwarded(("x-twice", "a"), ("x-twice", "b"), ("x-empty", ""), ("x-long", "abcdefghij"),
                       ("content-type", "application/grpc+proto"))  # fmt: skip
    stream.request.path = "/a?x=1&y=b%20c%41"
    stream.metadata = {"ns": {"n": 5.0, "b": True, "s": {"x": "yyyyy"}}}
    stream.filter_state = {"key": "kept"}
    assert compile_format(text)(stream) == printed


def test_only_grpc_requests_have_a_grpc_status() -> None:
    write = compile_format("%GRPC_STATUS%")
    assert write(forwarded(("content-type", "application/grpcx"))) == "-"
    answered = exchange(("content-type", "application/grpc"), status=503)
    assert write(answered) == "Unavailable"


def test_flags_print_in_order_and_details_without_blanks() -> None:
    stream = exchange()
    stream.add_flag("UF")
    stream.add_flag("URX")
    stream.details = "two words"
    text = "%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% %RESPONSE_CODE_DETAILS% %RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%"
    assert compile_format(text)(stream) == (
        "UF,URX UpstreamConnectionFailure,UpstreamRetryLimitExceeded two_words two words"
    )


def test_empty_takes_the_place_of_what_is_missing() -> None:
    assert compile_format("%REQ(x)%,%REQ(y)%", empty="")(exchange()) == ","
    assert compile_format("%REQ(x)%", empty="")(exchange()) == ""


def test_default_format() -> None:
    stream = forwarded(("user-agent", "curl"), ("x-request-id", "7b3c"))
    stream.start_time = 1795240607.691
    stream.started = time.monotonic()
    stream.last_activity = stream.started + 0.012
    stream.bytes_received, stream.bytes_sent = 5, 11
    assert compile_format(DEFAULT_FORMAT)(stream) == (
        '[2026-11-21T05:56:47.691Z] "GET /a?x=1 HTTP/1.1" 200 - 5 11 12 7 "-" "curl" "7b3c" "shop.example" '
        '"10.0.0.7:9080"\n'
    )


def test_the_duration_before_the_end_is_that_until_now() -> None:
    asked = exchange()
    asked.started -= 60.0
    assert int(compile_format("%DURATION%")(asked)) >= 60_000


def test_connection_that_is_not_http() -> None:
    text = "%PROTOCOL% %REQ(:method)% %RESPONSE_CODE% %PATH% %ROUTE_NAME% %ACCESS_LOG_TYPE% %DOWNSTREAM_REMOTE_ADDRESS%"
    assert compile_format(text)(tcp()) == "- - 0 - - NotSet 10.1.2.3:4567"


def test_no_operator_fails_on_a_bare_exchange() -> None:
    """Every operator that stands alone prints something for a request that met nothing, and for a connection."""
    bare = [name for name, known in TABLE.items() if known.argument != "required"]
    skipped = {"CEL", "TYPED_CEL", "METADATA", "FILTER_STATE", "UPSTREAM_FILTER_STATE"}
    text = " ".join(f"{name}=%{name}%" for name in bare if name not in skipped)
    write = compile_format(text)
    for stream in (exchange(status=None), tcp()):
        assert len(write(stream).split("=")) > 100


def test_json_sorts_and_keeps_types() -> None:
    tree = {
        "z": "%RESPONSE_CODE%", "a": "%PROTOCOL% %REQ(none)%", "m": "%REQ(none)%", "f": "%RESPONSE_FLAGS%",
        "in": {"y": ["%BYTES_SENT%", 1.0, 1.5], "x": None}, "t": True, "p": "100%%", "s": "%DYNAMIC_METADATA(ns)%",
    }  # fmt: skip
    stream = exchange()
    stream.metadata = {"ns": {"n": 5.0, "b": False}}
    assert compile_json_format(tree)(stream) == (
        '{"a":"HTTP/1.1 -","f":"-","in":{"x":null,"y":[0,1,1.5]},"m":null,"p":"100%","s":{"b":false,"n":5},"t":true,'
        '"z":200}\n'
    )


def test_json_omits_what_is_missing() -> None:
    none = "%REQ(none)%"
    tree = {"a": none, "b": f"x{none}", "c": {"d": none}, "e": [none, 1], "f": "%RESPONSE_FLAGS%"}
    assert compile_json_format(tree, omit_empty=True)(exchange()) == '{"b":"x","e":[1],"f":"-"}\n'


@pytest.mark.parametrize(
    "value, written",
    [
        ('q"b\\t\t', '"q\\"b\\\\t\\t"'),
        ("\xc3\xa9", '"\xc3\xa9"'),
        ('a\xffb"', '"a\\u00ffb\\u0022"'),
    ],
)
def test_json_text_is_always_valid(value: str, written: str) -> None:
    line = compile_json_format({"v": "%REQ(x)%"})(exchange(("x", value)))
    assert line == f'{{"v":{written}}}\n'
    json.loads(line.encode("latin-1"))


@pytest.mark.parametrize(
    "form, printed",
    [
        ("%s.%3f", "1795240607.691"),
        ("%f|%1f|%E3S|%E*S", "691413000|6|47.691|47.691413"),
        ("%Ez %z %E4Y %Z", "+00:00 +0000 2026 UTC"),
        ("%c", "Sat Nov 21 05:56:47 2026"),
        ("%H%%", "05%"),
        ("", "2026-11-21T05:56:47.691Z"),
    ],
)
def test_start_time(form: str, printed: str) -> None:
    stream = exchange()
    stream.start_time = 1795240607.691413
    assert compile_format(f"%START_TIME({form})%")(stream) == printed


def test_time_within_and_across_seconds() -> None:
    write = compile_format("%START_TIME(%S.%3f)%")
    stream = exchange()
    shown = []
    for moment in (1795240607.001, 1795240607.999, 1795240608.0):
        stream.start_time = moment
        shown.append(write(stream))
    assert shown == ["47.001", "47.999", "48.000"]


def test_unmeasured_operators_are_named() -> None:
    assert unmeasured("%PROTOCOL% %%TRACE_ID%% %TRACE_ID% %DOWNSTREAM_TLS_VERSION%") == ["TRACE_ID"]
    assert unmeasured({"a": ["%SPAN_ID%", 1], "b": {"c": "%TRACE_ID%"}}) == ["SPAN_ID", "TRACE_ID"]
