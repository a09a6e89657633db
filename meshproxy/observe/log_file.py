"""Files that log lines go to: collected in memory, each written by a thread of its own, so that a disk that is slow
or stands still stops neither the loop nor the other files.

Lines of a file are handed to its thread when `flush_bytes` are there or `flush_seconds` are over (Envoy's
--file-flush-min-size-kb and --file-flush-interval-msec). One writer serves a path however many loggers name it.
"""

import asyncio
import codecs
import logging
import time

from meshproxy.observe.file_writer import FileWriter, open_for_lines
from meshproxy.observe.formatter import Formatter
from meshproxy.observe.operators import Exchange
from meshproxy.observe.stats import StatGroup

_log = logging.getLogger("file")

FLUSH_BYTES = 64 * 1024
FLUSH_SECONDS = 10.0
# What may wait for the disk, per file. Envoy has no bound: a disk that stands still costs it its memory.
WAITING_BYTES = 16 * 1024 * 1024
# How long a stop waits for the disk.
STOP_SECONDS = 5.0
_BY_THREADS = ("reopen_failed", "write_completed", "write_failed")


def _as_utf8(error: UnicodeError) -> tuple[bytes, int]:
    """Lines are Latin-1 text of what was on the wire; what never was (metadata from a configuration) becomes UTF-8."""
    assert isinstance(error, UnicodeEncodeError)
    return error.object[error.start : error.end].encode("utf-8", "replace"), error.end


codecs.register_error("meshproxy.utf8", _as_utf8)


class FileStats(StatGroup):
    """`filesystem.*` of all files. What their threads count is added up when somebody looks."""

    COUNTERS = ("flushed_by_timer", "reopen_failed", "write_buffered", "write_completed", "write_failed")
    GAUGES = ("write_total_buffered",)

    __slots__ = (*COUNTERS, *GAUGES, "_before", "files")

    def __init__(self) -> None:
        super().__init__()
        self.files: list[LogFile] = []
        # What the threads had counted when the counters were last reset.
        self._before = dict.fromkeys(_BY_THREADS, 0)

    def update(self) -> None:
        for name, count in self._counted().items():
            if count != self._before[name]:
                setattr(self, name, count - self._before[name])
        self.write_total_buffered = sum([file.waiting for file in self.files])

    def reset(self) -> None:
        super().reset()
        self._before = self._counted()

    def _counted(self) -> dict[str, int]:
        return {name: sum([getattr(file.writer, name) for file in self.files]) for name in _BY_THREADS}


class LogFile:
    """One path, and the lines that wait for it."""

    __slots__ = ("_dropped", "_files", "_later", "_lines", "_size", "_taken", "writer")

    def __init__(self, files: "LogFiles", path: str, fd: int) -> None:
        self._files = files
        self.writer = FileWriter(path, fd)
        self._lines: list[str] = []
        self._size = 0
        # Exchanges whose lines are made at the end of the loop's turn.
        self._later: list[tuple[Formatter, Exchange]] = []
        # Bytes handed to the thread; lines dropped since it last kept up.
        self._taken = 0
        self._dropped = 0

    @property
    def path(self) -> str:
        return self.writer.path

    @property
    def waiting(self) -> int:
        """Bytes that the thread has and the disk has not."""
        return max(0, self._taken - self.writer.done)

    def write_later(self, form: Formatter, exchange: Exchange) -> None:
        """Takes an exchange of which nothing changes any more. Its line is made when everybody who waits was served:
        no answer waits for it, and lines that are made in a row cost half."""
        if not self._later:
            asyncio.get_running_loop().call_soon(self._make_lines)
        self._later.append((form, exchange))

    def write(self, line: str) -> None:
        """Takes a line with its newline."""
        if self._later:
            self._make_lines()
        self._take(line)

    def _make_lines(self) -> None:
        later, self._later = self._later, []
        for form, exchange in later:
            try:
                self._take(form(exchange))
            except Exception:
                _log.exception("an access log failed")

    def _take(self, line: str) -> None:
        if not self._lines:
            self._files.wake()
        self._lines.append(line)
        self._size += len(line)
        if self._size >= self._files.flush_bytes:
            self._hand_over()

    def flush(self) -> None:
        """Hands what has been collected to the thread; drops it where too much waits already."""
        if self._later:
            self._make_lines()
        self._hand_over()

    def _hand_over(self) -> None:
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        size, self._size = self._size, 0
        self._files.stats.write_buffered += len(lines)
        if self.waiting + size > self._files.waiting_bytes:
            self._drop(len(lines))
            return
        if self._dropped:
            _log.warning("'%s' keeps up again: %d lines were dropped", self.path, self._dropped)
            self._dropped = 0
        self._taken += size
        self.writer.put(lines)

    def _drop(self, lines: int) -> None:
        self.writer.write_failed += 1
        if not self._dropped:
            _log.error("'%s' does not keep up: %d bytes wait for it, and lines are dropped", self.path, self.waiting)
        self._dropped += lines


class LogFiles:
    """Every file that is logged to, by path."""

    def __init__(self) -> None:
        self.flush_bytes = FLUSH_BYTES
        self.flush_seconds = FLUSH_SECONDS
        self.waiting_bytes = WAITING_BYTES
        self.stop_seconds = STOP_SECONDS
        self.stats = FileStats()
        self._files: dict[str, LogFile] = {}
        self._timer: asyncio.TimerHandle | None = None

    def open(self, path: str) -> LogFile:
        """The file at `path`; raises ValueError in Envoy's words where it cannot be opened."""
        file = self._files.get(path)
        if file is None:
            try:
                fd = open_for_lines(path)
            except OSError as error:
                raise ValueError(f"unable to open file '{path}': {error.strerror}") from None
            file = self._files[path] = LogFile(self, path, fd)
            self.stats.files.append(file)
        return file

    def wake(self) -> None:
        """A file has its first line to write: the clock of the next flush starts."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.flush_seconds, self._on_timer)

    def reopen(self) -> None:
        """Opens every file again (SIGUSR1, /reopen_logs), so that it can be renamed; lines so far go to the old one."""
        for file in self._files.values():
            file.flush()
            file.writer.reopen()

    def flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Writes everything that waits, then closes the files. Blocks until the disk has taken it, but not for ever."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        for file in self._files.values():
            file.writer.stop()
        deadline = time.monotonic() + self.stop_seconds
        for file in self._files.values():
            if not file.writer.join(max(0.0, deadline - time.monotonic())):
                _log.error("'%s' stands still: %d bytes of log are lost", file.path, file.waiting)
        self._files.clear()

    def _on_timer(self) -> None:
        self._timer = None
        self.stats.flushed_by_timer += 1
        self.flush()
