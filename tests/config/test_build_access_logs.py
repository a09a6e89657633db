"""Access logs from their configuration to lines in files. Verdicts and texts are Envoy 1.40's."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshproxy.config.build_access_logs import build_access_logs
from meshproxy.config.build_log_filters import build_log_filter
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse
from meshproxy.config.view import View, unread
from tests.observe.exchanges import exchange, forwarded, tcp

LOGGERS = "type.googleapis.com/envoy.extensions.access_loggers"


def view_of(kind: str, tree: Any) -> View:
    tree = yaml.safe_load(tree) if isinstance(tree, str) else tree
    message, problems = parse(tree, f"envoy.config.accesslog.v3.{kind}")
    assert not problems, problems
    return View(message)


def context() -> Context:
    return Context(asyncio.new_event_loop())


def file_log(path: Path | str, **fields: Any) -> View:
    config = {"@type": f"{LOGGERS}.file.v3.FileAccessLog", "path": str(path), **fields}
    return view_of("AccessLog", {"name": "file", "typed_config": config})


def written(path: Path, *views: View, lines: int = 1, ctx: Context | None = None) -> str:
    """What stands in the file after that many exchanges and a clean stop."""
    ctx = ctx or context()

    async def log() -> None:
        for each in build_access_logs(list(views), ctx):
            for _ in range(lines):
                each.log(forwarded())
        ctx.log_files.close()

    asyncio.run(log())
    return path.read_text()


def text_format(text: str) -> dict[str, Any]:
    return {"text_format_source": {"inline_string": text}}


def test_formats(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert written(path, file_log(path)).endswith('"shop.example" "10.0.0.7:9080"\n')
    path.unlink()
    assert written(path, file_log(path, log_format=text_format("%PROTOCOL%\n"))) == "HTTP/1.1\n"
    path.unlink()
    assert written(path, file_log(path, format="%RESPONSE_CODE%\n")) == "200\n"
    path.unlink()
    assert written(path, file_log(path, json_format={"b": "%RESPONSE_CODE%", "a": "x"})) == '{"a":"x","b":200}\n'
    path.unlink()
    assert written(path, file_log(path, typed_json_format={"b": "%RESPONSE_CODE%"})) == '{"b":200}\n'
    path.unlink()
    omit = {"json_format": {"a": "%REQ(none)%", "b": 1}, "omit_empty_values": True}
    assert written(path, file_log(path, log_format=omit)) == '{"b":1}\n'


def test_extension_of_formats(tmp_path: Path) -> None:
    path = tmp_path / "log"
    kind = "type.googleapis.com/envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery"
    extension = {"name": "f", "typed_config": {"@type": kind}}
    form = {**text_format("%REQ_WITHOUT_QUERY(:path):2%"), "formatters": [extension]}
    assert written(path, file_log(path, log_format=form)) == "/a"


def test_several_loggers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logs = (file_log(path, log_format=text_format("1\n")), file_log(path, log_format=text_format("2\n")))
    assert written(path, *logs, lines=2) == "1\n1\n2\n2\n"


def test_standard_streams(capfd: pytest.CaptureFixture[str]) -> None:
    ctx = context()

    async def log() -> None:
        for kind in ("Stdout", "Stderr"):
            config = {"@type": f"{LOGGERS}.stream.v3.{kind}AccessLog", "log_format": text_format(f"{kind}\n")}
            (logger,) = build_access_logs([view_of("AccessLog", {"typed_config": config})], ctx)
            logger.log(exchange())
        ctx.log_files.close()

    asyncio.run(log())
    assert capfd.readouterr() == ("Stdout\n", "Stderr\n")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        build_access_logs([file_log(tmp_path / "none" / "log")], context())
    assert str(error.value) == (
        f"typed_config.path: unable to open file '{tmp_path}/none/log': No such file or directory"
    )
    with pytest.raises(ConfigError, match="Is a directory"):
        build_access_logs([file_log(tmp_path)], context())


def test_a_format_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        build_access_logs([file_log(tmp_path / "log", log_format=text_format("%FOO%"))], context())
    assert str(error.value).endswith("text_format_source: Not supported field in StreamInfo: FOO")


def test_loggers_that_are_not_there() -> None:
    config = {"@type": f"{LOGGERS}.wasm.v3.WasmAccessLog"}
    with pytest.raises(ConfigError, match=r"unsupported extension: envoy\.extensions\.access_loggers\.wasm"):
        build_access_logs([view_of("AccessLog", {"typed_config": config})], context())


def test_everything_is_read_and_what_is_not_measured_is_named(tmp_path: Path) -> None:
    view = file_log(tmp_path / "log", log_format=text_format("%TRACE_ID% %PROTOCOL%"))
    build_access_logs([view], context())
    # The name is for people alone, and the operator has no value here.
    named = [problem for problem in unread(view) if "TRACE_ID" in problem.reason]
    assert [problem.severity for problem in named] == ["ignored"]
    assert not [problem for problem in unread(view) if problem.severity == "error"]


def decides(text: str, stream: Any, ctx: Context | None = None) -> bool:
    return build_log_filter(view_of("AccessLogFilter", text), ctx or context())(stream)


@pytest.mark.parametrize(
    "text, kept",
    [
        ("status_code_filter: {comparison: {op: GE, value: {default_value: 400, runtime_key: k}}}", False),
        ("status_code_filter: {comparison: {op: LE, value: {default_value: 200, runtime_key: k}}}", True),
        ("status_code_filter: {comparison: {op: EQ, value: {default_value: 200, runtime_key: k}}}", True),
        ("status_code_filter: {comparison: {op: NE, value: {default_value: 200, runtime_key: k}}}", False),
        ("duration_filter: {comparison: {op: GE, value: {default_value: 1000, runtime_key: k}}}", False),
        ("not_health_check_filter: {}", True),
        ("traceable_filter: {}", False),
        ("header_filter: {header: {name: X-A, string_match: {exact: '1'}}}", True),
        ("header_filter: {header: {name: x-b, present_match: true}}", False),
        ("response_flag_filter: {flags: [UF]}", True),
        ("response_flag_filter: {flags: [NR]}", False),
        ("response_flag_filter: {}", True),
        ("grpc_status_filter: {statuses: [NOT_FOUND]}", True),
        ("grpc_status_filter: {statuses: [NOT_FOUND], exclude: true}", False),
        ("log_type_filter: {types: [DownstreamEnd]}", True),
        ("log_type_filter: {types: [DownstreamEnd], exclude: true}", False),
        ("and_filter: {filters: [{traceable_filter: {}}, {not_health_check_filter: {}}]}", False),
        ("or_filter: {filters: [{traceable_filter: {}}, {not_health_check_filter: {}}]}", True),
        ("metadata_filter: {matcher: {filter: ns, path: [{key: k}], value: {string_match: {exact: v}}}}", True),
        ("metadata_filter: {matcher: {filter: ns, path: [{key: k}], value: {string_match: {exact: w}}}}", False),
        ("metadata_filter: {matcher: {filter: ns, path: [{key: z}], value: {string_match: {exact: w}}}}", True),
        (
            "metadata_filter: {match_if_key_not_found: false, "
            "matcher: {filter: ns, path: [{key: z}], value: {string_match: {exact: w}}}}",
            False,
        ),
        ("metadata_filter: {match_if_key_not_found: false}", False),
        ("runtime_filter: {runtime_key: r, percent_sampled: {numerator: 100}}", True),
        ("runtime_filter: {runtime_key: r, percent_sampled: {numerator: 0}}", False),
    ],
)
def test_filters(text: str, kept: bool) -> None:
    stream = forwarded(("x-a", "1"))
    stream.add_flag("UF")
    stream.metadata = {"ns": {"k": "v"}}
    assert decides(text, stream) is kept


def test_runtime_decides_by_the_request_id() -> None:
    ctx = context()
    ctx.runtime.set_layer("base", {"r": 16})
    text = "runtime_filter: {runtime_key: r, percent_sampled: {numerator: 100}}"
    # The first 32 bits of the id: 0x0000000f and 0x00000010 of a hundred.
    assert decides(text, exchange(("x-request-id", "0000000f-0000-4000-8000-000000000000")), ctx)
    assert not decides(text, exchange(("x-request-id", "00000010-0000-4000-8000-000000000000")), ctx)


def test_runtime_changes_a_threshold() -> None:
    ctx = context()
    ctx.runtime.set_layer("base", {"k": 100})
    text = "status_code_filter: {comparison: {op: GE, value: {default_value: 400, runtime_key: k}}}"
    assert decides(text, exchange(), ctx)


def test_filters_on_a_connection() -> None:
    assert decides("log_type_filter: {types: [NotSet]}", tcp())
    assert decides("status_code_filter: {comparison: {op: EQ, value: {runtime_key: k}}}", tcp())
    assert not decides("header_filter: {header: {name: x, present_match: true}}", tcp())


def cel(expression: str) -> str:
    kind = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    return f'extension_filter: {{name: cel, typed_config: {{"@type": {kind}, expression: "{expression}"}}}}'


def test_expressions_decide() -> None:
    assert decides(cel("response.code == 200"), exchange())
    assert not decides(cel("response.code >= 400"), exchange())
    # Neither what is no verdict nor what has no value lets an entry pass.
    assert not decides(cel("'text'"), exchange())
    assert not decides(cel("request.headers['x-none'] == ''"), exchange())


def test_filters_that_are_not_there() -> None:
    with pytest.raises(ConfigError, match="Didn't find a registered implementation for 'cel' with type URL: ''"):
        decides("extension_filter: {name: cel}", exchange())
    with pytest.raises(ConfigError, match=r"Not able to parse filter expression: INVALID_ARGUMENT: ERROR: <input>:1:4"):
        decides(cel("1 +"), exchange())


def test_the_filter_decides_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    ctx = context()
    view = view_of("AccessLog", {
        "filter": {"status_code_filter": {"comparison": {"op": "GE", "value": {"runtime_key": "k"}}}},
        "typed_config": {"@type": f"{LOGGERS}.file.v3.FileAccessLog", "path": str(path)},
    })  # fmt: skip
    ctx.runtime.set_layer("base", {"k": 500})
    assert written(path, view, ctx=ctx) == ""
    ctx.runtime.set_layer("base", {"k": 200})
    assert written(path, view, ctx=ctx) != ""


def test_records_of_opentelemetry_are_made_of_texts() -> None:
    view = view_of("AccessLog", {"typed_config": {
        "@type": f"{LOGGERS}.open_telemetry.v3.OpenTelemetryAccessLogConfig",
        "grpc_service": {"envoy_grpc": {"cluster_name": "x"}}, "log_name": "x", "body": {"int_value": "5"},
    }})  # fmt: skip
    with pytest.raises(ConfigError, match="Only string values, nested key value lists and array values are supported"):
        build_access_logs([view], context())
