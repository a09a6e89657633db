"""The process log: Envoy's line format, its logger names and levels, over Python's logging.

Loggers are named as Envoy's are (`main`, `http`, `upstream`, ...), so that --component-log-level and /logging mean the
same here. What a line looks like is in log_pattern.py, what becomes of a storm of the same line in repeats.py.
"""

import logging
import sys
from typing import TextIO

from meshproxy.observe.log_pattern import LEVELS, TRACE, Write, compile_pattern, escape_line, level_name
from meshproxy.observe.repeats import Repeats

DEFAULT_PATTERN = "[%Y-%m-%d %T.%e][%t][%l][%n] [%g:%#] %v"
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


class _Sink(logging.StreamHandler[TextIO]):
    """Writes lines to a stream; repeated ones are held back."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.write: Write = compile_pattern(DEFAULT_PATTERN)
        self.escaped = False
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        for summary in self._repeats.pending():
            super().emit(summary)
        if self._repeats.admits(record):
            super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        line = self.write(record)
        return escape_line(line) if self.escaped else line

    def handleError(self, record: logging.LogRecord) -> None:
        """A disk that is full, or a terminal that is gone: there is nobody left to tell."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        """What was held back is told of."""
        for summary in self._repeats.pending(everything=True):
            super().emit(summary)
        self.flush()
        super().close()


class ProcessLog:
    """Where the log goes and how; one per process."""

    def __init__(self) -> None:
        self._sink = _Sink(sys.stderr)
        self._path = ""

    def start(self, level: str = "info", pattern: str = "", path: str = "", escaped: bool = False) -> None:
        """Takes over the root logger. `path`: a file to append to, standard error where it is empty.

        escaped: every line is written as C would write it. Raises ValueError for an unknown level and OSError where the
        file cannot be opened.
        """
        logging.addLevelName(TRACE, "TRACE")
        self._path = path
        if path:
            self._sink = _Sink(_open(path))
        self._sink.write = compile_pattern(pattern or DEFAULT_PATTERN)
        self._sink.escaped = escaped
        root = logging.getLogger()
        root.handlers[:] = [self._sink]
        self.set_level(level)

    def set_format(self, write: Write) -> None:
        self._sink.write = write

    def set_level(self, level: str) -> None:
        """Every logger. Raises ValueError for an unknown level."""
        number = level_number(level)
        logging.getLogger().setLevel(number)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(number)

    def set_levels(self, levels: str) -> None:
        """`name:level,name:level`, as --component-log-level takes it. Raises ValueError; then nothing has changed."""
        for name, number in parse_levels(levels):
            logging.getLogger(name).setLevel(number)

    def reopen(self) -> None:
        """Opens the file again, so that it can be renamed."""
        if self._path:
            old = self._sink.setStream(_open(self._path))
            if old is not None:
                old.close()


def _open(path: str) -> TextIO:
    return open(path, "a", encoding="utf-8", errors="surrogateescape")


def parse_levels(text: str) -> list[tuple[str, int]]:
    """`name:level,name:level` as pairs. Raises ValueError."""
    changes = []
    for piece in text.split(","):
        name, colon, level = piece.partition(":")
        if not colon:
            raise ValueError(f"error: component log level not correctly specified '{piece}'")
        number = level_number(level)
        if name not in LOGGERS:
            raise ValueError(f"error: invalid component specified '{name}'")
        changes.append((name, number))
    return changes


def level_number(level: str) -> int:
    number = LEVELS.get(_ALIASES.get(level, level))
    if number is None:
        raise ValueError(f"error: invalid log level specified '{level}'")
    return number


def levels() -> dict[str, str]:
    """The level of each logger, by name."""
    return {name: level_name(logging.getLogger(name).getEffectiveLevel()) for name in LOGGERS}
