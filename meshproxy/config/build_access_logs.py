"""envoy.config.accesslog.v3.AccessLog: loggers that write lines to files and to the standard streams."""

from collections.abc import Callable
from importlib import import_module

from meshproxy.config.build_format import build_format
from meshproxy.config.build_log_filters import build_log_filter
from meshproxy.config.context import Context
from meshproxy.config.structs import struct_dict
from meshproxy.config.view import View
from meshproxy.observe.access_log import AccessLog
from meshproxy.observe.formatter import DEFAULT_FORMAT, Formatter, compile_format, compile_json_format, is_steady

_LOGGERS = "envoy.extensions.access_loggers."
# They are imported when they are wanted: few are, and messages are much to read.
_OVER_GRPC = {
    f"{_LOGGERS}grpc.v3.HttpGrpcAccessLogConfig": ("build_grpc_access_logs", "build_http_grpc"),
    f"{_LOGGERS}grpc.v3.TcpGrpcAccessLogConfig": ("build_grpc_access_logs", "build_tcp_grpc"),
    f"{_LOGGERS}open_telemetry.v3.OpenTelemetryAccessLogConfig": ("build_otel_access_log", "build_open_telemetry"),
}


def build_access_logs(views: list[View], ctx: Context, later: bool = False) -> tuple[AccessLog, ...]:
    """The loggers of one `access_log` list. later: nobody changes what they log once it is done."""
    return tuple([_build(view, ctx, later) for view in views])


def _build(view: View, ctx: Context, later: bool) -> AccessLog:
    _ = view.name  # the type says which logger it is
    config = view.typed_config
    name = config.type_name
    keep = None
    if view.filter:
        with view.at("filter"):
            keep = build_log_filter(view.filter, ctx)
    if name in _OVER_GRPC:
        module, function = _OVER_GRPC[name]
        log: AccessLog = getattr(import_module(f"meshproxy.config.{module}"), function)(config.unpack(), ctx, keep)
        return log
    build = _BUILDERS.get(name)
    if build is None:
        view.reject("typed_config", f"unsupported extension: {name or 'none'}")
    packed = config.unpack()
    path, form = build(packed)
    with packed.at("path"):
        file = ctx.log_files.open(path)
    return AccessLog(form, file.write, keep, file.write_later if later and is_steady(form) else None)


def _file(view: View) -> tuple[str, Formatter]:
    kind = view.which("access_log_format")
    if kind is None or kind == "log_format":
        return view.path, _format(view)
    with view.at(kind):
        if kind == "format":
            return view.path, compile_format(view.format or DEFAULT_FORMAT)
        return view.path, compile_json_format(struct_dict(getattr(view, kind).take()))


def _stdout(view: View) -> tuple[str, Formatter]:
    return "/dev/stdout", _format(view)


def _stderr(view: View) -> tuple[str, Formatter]:
    return "/dev/stderr", _format(view)


def _format(view: View) -> Formatter:
    if not view.log_format:
        return compile_format(DEFAULT_FORMAT)
    with view.at("log_format"):
        return build_format(view.log_format)[0]


_BUILDERS: dict[str, Callable[[View], tuple[str, Formatter]]] = {
    f"{_LOGGERS}file.v3.FileAccessLog": _file,
    f"{_LOGGERS}stream.v3.StdoutAccessLog": _stdout,
    f"{_LOGGERS}stream.v3.StderrAccessLog": _stderr,
}
