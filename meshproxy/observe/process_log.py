"""The process log: Envoy's line format, its logger names and levels, over Python's logging.

A pattern is one of spdlog's, as --log-format takes it; a tree of patterns makes a line of JSON
(application_log_config). Loggers are named as Envoy's are (`main`, `http`, `upstream`, ...), so that
--component-log-level and /logging mean the same here.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

DEFAULT_PATTERN = "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v"

TRACE = 5
OFF = logging.CRITICAL + 10
LEVELS = {
    "trace": TRACE, "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR,
    "critical": logging.CRITICAL, "off": OFF,
}  # fmt: skip
_ALIASES = {"warn": "warning"}

LOGGERS = (
    "a2a", "admin", "ai_protocol_manager", "alternate_protocols_cache", "aws", "assert", "backtrace", "basic_auth",
    "cache_filter", "client", "config", "connection", "conn_handler", "compression", "credential_injector",
    "decompression", "dns", "dubbo", "envoy_bug", "ext_authz", "ext_proc", "rocketmq", "file", "filter",
    "forward_proxy", "geolocation", "grpc", "happy_eyeballs", "hc", "health_checker", "http", "http2", "hystrix",
    "init", "io", "jwt", "json_rpc", "kafka", "key_value_store", "lua", "local_rate_limit", "main", "matcher", "mcp",
    "misc", "mongo", "multi_connection", "notification", "oauth2", "quic", "quic_stream", "pool", "rate_limit_quota",
    "rbac", "rds", "redis", "router", "runtime", "stats", "secret", "sse", "tap", "testing", "thrift", "tracing",
    "upstream", "udp", "wasm", "websocket", "golang", "stats_sinks", "dynamic_modules", "ip_tagging",
)  # fmt: skip

Write = Callable[[logging.LogRecord], str]

_ROOT = Path(__file__).parents[2]
_TIMES = {"T": "%H:%M:%S", "X": "%H:%M:%S", "D": "%m/%d/%y", "x": "%m/%d/%y", "R": "%H:%M", "r": "%I:%M:%S %p"}


def _level_name(record: logging.LogRecord) -> str:
    for name, number in reversed(LEVELS.items()):
        if record.levelno >= number:
            return name
    return "trace"


def _source(record: logging.LogRecord) -> str:
    """The file as it lies in the project, or its whole path where it is somebody else's."""
    path = Path(record.pathname)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else record.pathname


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    return text


_FLAGS: dict[str, Write] = {
    "v": _text,
    "_": lambda record: _text(record).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r"),
    "j": lambda record: json.dumps(_text(record), ensure_ascii=False)[1:-1],
    "n": lambda record: record.name,
    "l": _level_name,
    "L": lambda record: _level_name(record)[0].upper(),
    "t": lambda _record: str(threading.get_native_id()),
    "P": lambda record: str(record.process),
    "e": lambda record: f"{int(record.created * 1000) % 1000:03}",
    "f": lambda record: f"{int(record.created * 1_000_000) % 1_000_000:06}",
    "F": lambda record: f"{int(record.created * 1_000_000) % 1_000_000:06}000",
    "E": lambda record: str(int(record.created)),
    "s": lambda record: record.filename,
    "g": _source,
    "#": lambda record: str(record.lineno),
    "!": lambda record: record.funcName,
    "@": lambda record: f"{_source(record)}:{record.lineno}",
    "%": lambda _record: "%",
    # Colours are for terminals.
    "^": lambda _record: "",
    "$": lambda _record: "",
}


def compile_pattern(pattern: str) -> Write:
    """A function from a record to a line without its newline."""
    pieces: list[str | Write] = []
    start = 0
    while (start := pattern.find("%")) >= 0 and start + 1 < len(pattern):
        pieces.append(pattern[:start])
        flag = pattern[start + 1]
        pieces.append(_FLAGS[flag] if flag in _FLAGS else _clock(_TIMES.get(flag, f"%{flag}")))
        pattern = pattern[start + 2 :]
    pieces.append(pattern)
    return lambda record: "".join([piece if isinstance(piece, str) else piece(record) for piece in pieces])


def _clock(form: str) -> Write:
    return lambda record: time.strftime(form, time.localtime(record.created))


def compile_json_pattern(tree: Mapping[str, Any]) -> Write:
    """A function from a record to one line of JSON, keys sorted; the texts in `tree` are patterns."""
    compiled = {key: compile_pattern(str(tree[key])) for key in sorted(tree)}

    def write(record: logging.LogRecord) -> str:
        # %j is for text that is pasted into JSON; here the text is encoded as a whole.
        values = {key: part(record) for key, part in compiled.items()}
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False)

    return write


class _Formatter(logging.Formatter):
    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write

    def format(self, record: logging.LogRecord) -> str:
        return self._write(record)


class ProcessLog:
    """Where the log goes and how; one per process."""

    def __init__(self) -> None:
        self._handler: logging.Handler = logging.StreamHandler(sys.stderr)
        self._path = ""

    def start(self, level: str = "info", pattern: str = "", path: str = "", escaped: bool = False) -> None:
        """Takes over the root logger. `path`: a file to append to, standard error where it is empty.

        Raises ValueError for an unknown level and OSError where the file cannot be opened.
        """
        logging.addLevelName(TRACE, "TRACE")
        self._path = path
        if path:
            self._handler = logging.FileHandler(path, encoding="utf-8")
        self.set_format(compile_pattern(_escape(pattern or DEFAULT_PATTERN) if escaped else pattern or DEFAULT_PATTERN))
        root = logging.getLogger()
        root.handlers[:] = [self._handler]
        self.set_level(level)

    def set_format(self, write: Write) -> None:
        self._handler.setFormatter(_Formatter(write))

    def set_level(self, level: str) -> None:
        """Every logger. Raises ValueError for an unknown level."""
        number = level_number(level)
        logging.getLogger().setLevel(number)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(number)

    def set_levels(self, levels: str) -> None:
        """`name:level,name:level`, as --component-log-level takes it. Raises ValueError; then nothing has changed."""
        changes = []
        for piece in levels.split(","):
            name, colon, level = piece.partition(":")
            if not colon:
                raise ValueError(f"error: component log level not correctly specified '{piece}'")
            if name not in LOGGERS:
                raise ValueError(f"error: invalid component specified '{name}'")
            changes.append((name, level_number(level)))
        for name, number in changes:
            logging.getLogger(name).setLevel(number)

    def reopen(self) -> None:
        """Opens the file again, so that it can be renamed."""
        if self._path:
            fresh = logging.FileHandler(self._path, encoding="utf-8")
            fresh.setFormatter(self._handler.formatter)
            old, self._handler = self._handler, fresh
            logging.getLogger().handlers[:] = [fresh]
            old.close()


def level_number(level: str) -> int:
    number = LEVELS.get(_ALIASES.get(level, level))
    if number is None:
        raise ValueError(f"error: invalid log level specified '{level}'")
    return number


def levels() -> dict[str, str]:
    """The level of each logger, by name."""
    names = {number: name for name, number in LEVELS.items()}
    return {name: names.get(logging.getLogger(name).getEffectiveLevel(), "info") for name in LOGGERS}


def _escape(pattern: str) -> str:
    return pattern.replace("%v", "%_")
