"""The log: lines as Istio's programs write them, ``TIME<tab>level<tab>text``, or JSON. Dry runs own standard output."""

import sys
import time
from collections.abc import Sequence
from typing import TextIO

from meshproxy.iptables.errors import UsageError

LEVELS = {"debug": 0, "info": 1, "warn": 2, "error": 3, "fatal": 4, "none": 5}


class Log:
    def __init__(self, levels: str = "", as_json: bool = False, targets: Sequence[str] = ("stderr",)) -> None:
        """``levels`` is a list of ``scope:level``; we have one scope, default. Raises UsageError."""
        self.level = _level(levels)
        self.as_json = as_json
        self.files = [_open(target) for target in targets]

    def debug(self, text: str) -> None:
        self._write("debug", text)

    def info(self, text: str) -> None:
        self._write("info", text)

    def warn(self, text: str) -> None:
        self._write("warn", text)

    def error(self, text: str) -> None:
        self._write("error", text)

    def _write(self, level: str, text: str) -> None:
        if LEVELS[level] < self.level:
            return
        now = time.time()
        moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1_000_000):06}Z"
        line = f"{moment}\t{level}\t{text}"
        if self.as_json:
            import json

            line = json.dumps({"level": level, "time": moment, "msg": text}, separators=(",", ":"))
        for file in self.files:
            print(line, file=file, flush=True)


def _level(levels: str) -> int:
    least = LEVELS["info"]
    for item in levels.split(",") if levels else ():
        scope, colon, level = item.rpartition(":")
        if level not in LEVELS or ":" in scope:
            raise UsageError(f"invalid output level '{item}', give one of {', '.join(LEVELS)}")
        if not colon or scope in ("default", "all"):
            least = LEVELS[level]
    return least


def _open(target: str) -> TextIO:
    if target in ("stdout", "stderr"):
        return sys.stdout if target == "stdout" else sys.stderr
    try:
        return open(target, "a")
    except OSError as error:
        raise UsageError(f"--log_target {target}: {error.strerror}") from None
