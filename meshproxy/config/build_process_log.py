"""envoy.config.bootstrap.v3.Bootstrap.ApplicationLogConfig: the format of the process log."""

from meshproxy.config.structs import struct_dict
from meshproxy.config.view import View
from meshproxy.observe.log_pattern import Write, compile_json_pattern, compile_pattern


def build_log_format(view: View, command_line: str) -> Write | None:
    """The format that the configuration asks for, if any. `command_line`: --log-format, beside which it may not stand.

    `view`: the ApplicationLogConfig.
    """
    if not view.log_format:
        return None
    if command_line:
        view.reject(
            "log_format", "Only one of ApplicationLogConfig.log_format or CLI option --log-format can be specified."
        )
    kind = view.log_format.which("log_format")
    if kind == "text_format":
        return compile_pattern(view.log_format.text_format)
    if kind == "json_format":
        return compile_json_pattern(struct_dict(view.log_format.json_format.take()))
    return None
