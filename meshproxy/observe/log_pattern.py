"""Patterns of the process log: spdlog's, as --log-format and application_log_config take them.

    %v message                      %n logger           %l %L level, its letter
    %_ message, on one line         %j %+ as in JSON    %* %& tags and the like (there are none)
    %s %g %@ file, path, both       %# line             %! function
    %t thread      %P process       %e %f %F fraction of the second                %E seconds since 1970
    %i %u %o %O    time since the last line, in µs, ns, ms, s                      %^ %$ colours (there are none)

Everything else that begins with % is a piece of the date. `%8l` pads on the left, `%-8l` on the right, `%=8l` on both
sides; `%3!l` also cuts.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

Write = Callable[[logging.LogRecord], str]

TRACE = 5
OFF = logging.CRITICAL + 10
LEVELS = {
    "trace": TRACE, "debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR,
    "critical": logging.CRITICAL, "off": OFF,
}  # fmt: skip

_ROOT = Path(__file__).parents[2]
_PIECE = re.compile(r"%([-=]?)(\d*)(!?)(.)", re.DOTALL)
_DATE = {
    "a": "%a", "A": "%A", "b": "%b", "B": "%B", "h": "%b", "c": "%a %b %e %H:%M:%S %Y", "C": "%y", "Y": "%Y",
    "D": "%m/%d/%y", "x": "%m/%d/%y", "m": "%m", "d": "%d", "H": "%H", "I": "%I", "M": "%M", "S": "%S", "p": "%p",
    "r": "%I:%M:%S %p", "R": "%H:%M", "T": "%H:%M:%S", "X": "%H:%M:%S",
}  # fmt: skip
_NOTHING = frozenset("^$*&")
# What C takes for more than itself, and what is no printable ASCII (absl::CEscape).
_UNSAFE = re.compile(rb"[^ -~]|[\"'\\]")
_NAMED = {b"\n": "\\n", b"\r": "\\r", b"\t": "\\t", b'"': '\\"', b"'": "\\'", b"\\": "\\\\"}


def compile_pattern(pattern: str) -> Write:
    """A function from a record to a line without its newline. What is no flag stays as it is."""
    pieces: list[str | Write] = []
    end = 0
    for found in _PIECE.finditer(pattern):
        pieces += (pattern[end : found.start()], _piece(found))
        end = found.end()
    # A lone % at the end says nothing.
    pieces.append(pattern[end:].removesuffix("%"))
    return lambda record: "".join([piece if isinstance(piece, str) else piece(record) for piece in pieces])


def compile_json_pattern(tree: Mapping[str, Any]) -> Write:
    """A function from a record to one line of JSON, keys sorted; the texts in `tree` are patterns.

    Raises ValueError for %v and %_, which would not be escaped; %j is.
    """
    pattern = json.dumps(tree, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    for flag in ("%v", "%_"):
        if flag in pattern:
            reason = f"Usage of {flag} is unavailable for JSON log formats"
            raise ValueError(f"setJsonLogFormat error: INVALID_ARGUMENT: {reason}")
    return compile_pattern(pattern)


def escape_line(line: str) -> str:
    """As a literal of C, but for white space at the end (--log-format-escaped)."""
    body = line.rstrip()
    data = body.encode("utf-8", "surrogateescape")
    return _UNSAFE.sub(_escaped, data).decode() + line[len(body) :]


def _escaped(found: "re.Match[bytes]") -> bytes:
    byte = found[0]
    return _NAMED.get(byte, f"\\{byte[0]:03o}").encode()


def _piece(found: "re.Match[str]") -> str | Write:
    side, width, cut, flag = found.groups()
    if width:
        write = _flag(flag)
        return write if isinstance(write, str) else _padded(write, side, int(width), bool(cut))
    if cut:
        # Without a width it is the flag for the function.
        return _joined(_flag("!"), flag)
    return _flag(flag)


def _joined(write: str | Write, rest: str) -> str | Write:
    return write + rest if isinstance(write, str) else lambda record: write(record) + rest


def _flag(flag: str) -> str | Write:
    if flag in _NOTHING:
        return ""
    if flag == "%":
        return "%"
    if flag in _SINCE:
        return _since(_SINCE[flag])
    known = _FLAGS.get(flag)
    if known is not None:
        return known
    return _clock(_DATE[flag]) if flag in _DATE else f"%{flag}"


def _padded(write: Write, side: str, width: int, cut: bool) -> Write:
    def padded(record: logging.LogRecord) -> str:
        text = write(record)
        if side == "-":
            text = text.ljust(width)
        elif side == "=":
            left = (width - len(text)) // 2
            text = f"{' ' * left}{text}".ljust(width)
        else:
            text = text.rjust(width)
        return text[:width] if cut else text

    return padded


def _clock(form: str) -> Write:
    last = (0, "")

    def clock(record: logging.LogRecord) -> str:
        nonlocal last
        second = int(record.created)
        if last[0] != second:
            last = (second, time.strftime(form, time.localtime(second)))
        return last[1]

    return clock


def _zone(record: logging.LogRecord) -> str:
    text = time.strftime("%z", time.localtime(record.created))
    return f"{text[:3]}:{text[3:]}"


def _since(unit: float) -> Write:
    """The time since the last line, as a number of `unit` seconds."""
    last = [time.time()]

    def since(record: logging.LogRecord) -> str:
        passed, last[0] = record.created - last[0], record.created
        return str(max(0, int(passed / unit)))

    return since


def level_name(number: int) -> str:
    """The name of the level that `number` is at or above."""
    for name, least in reversed(LEVELS.items()):
        if number >= least:
            return name
    return "trace"


@cache
def _place(pathname: str) -> str:
    """A file as it lies in the project, or its whole path where it is somebody else's."""
    path = Path(pathname)
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else pathname


def _source(record: logging.LogRecord) -> str:
    return _place(record.pathname)


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text = f"{text}\n{logging.Formatter().formatException(record.exc_info)}"
    return text


def _json_message(record: logging.LogRecord) -> str:
    return json.dumps(_message(record), ensure_ascii=False)[1:-1]


_SINCE = {"i": 1e-6, "u": 1e-9, "o": 1e-3, "O": 1.0}
_FLAGS: dict[str, Write] = {
    "v": _message,
    "+": _json_message,
    "_": lambda record: _message(record).replace("\n", "\\n"),
    "j": _json_message,
    "n": lambda record: record.name,
    "l": lambda record: level_name(record.levelno),
    "L": lambda record: level_name(record.levelno)[0].upper(),
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
    "z": _zone,
}
