"""Files that log lines go to: collected in memory, written by one thread, so that a slow disk never stops the loop.

Lines of a file are handed to the thread when `flush_bytes` are there or `flush_seconds` are over (Envoy's
--file-flush-min-size-kb and --file-flush-interval-msec). One writer serves a path however many loggers name it.
"""

import asyncio
import codecs
import logging
import os
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Literal

from meshproxy.observe.stats import Histogram, Kind, StatGroup

_log = logging.getLogger("file")

FLUSH_BYTES = 64 * 1024
FLUSH_SECONDS = 10.0

Job = tuple[Literal["write", "reopen", "stop"], "LogFile | None", list[str]]


def _as_utf8(error: UnicodeError) -> tuple[bytes, int]:
    """Lines are Latin-1 text of what was on the wire; what never was (metadata from a configuration) becomes UTF-8."""
    assert isinstance(error, UnicodeEncodeError)
    return error.object[error.start : error.end].encode("utf-8", "replace"), error.end


codecs.register_error("meshproxy.utf8", _as_utf8)


class FileStats(StatGroup):
    """`filesystem.*`."""

    COUNTERS = ("flushed_by_timer", "reopen_failed", "write_buffered", "write_completed", "write_failed")

    __slots__ = (*COUNTERS, "taken", "written")

    def __init__(self) -> None:
        super().__init__()
        # Bytes taken from loggers, by the loop; bytes written or lost, by the thread. Each has one writer.
        self.taken = 0
        self.written = 0

    def more(self) -> Iterator[tuple[Kind, str, int | Histogram]]:
        yield "gauge", "write_total_buffered", max(0, self.taken - self.written)


class LogFile:
    """One open file, and the lines that wait for it."""

    __slots__ = ("_files", "_lines", "_size", "fd", "path")

    def __init__(self, files: "LogFiles", path: str, fd: int) -> None:
        self._files = files
        self.path = path
        # Of the thread, once it runs.
        self.fd = fd
        self._lines: list[str] = []
        self._size = 0

    def write(self, line: str) -> None:
        """Takes a line with its newline."""
        if not self._lines:
            self._files.wake()
        self._lines.append(line)
        self._size += len(line)
        if self._size >= self._files.flush_bytes:
            self.flush()

    def flush(self) -> None:
        """Hands what has been collected to the thread."""
        if not self._lines:
            return
        stats = self._files.stats
        stats.write_buffered += len(self._lines)
        stats.taken += self._size
        lines, self._lines = self._lines, []
        self._size = 0
        self._files.queue.put(("write", self, lines))


class LogFiles:
    """Every file that is logged to, by path, and the thread that writes them."""

    def __init__(self) -> None:
        self.flush_bytes = FLUSH_BYTES
        self.flush_seconds = FLUSH_SECONDS
        self.stats = FileStats()
        self.queue: SimpleQueue[Job] = SimpleQueue()
        self._files: dict[str, LogFile] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    def open(self, path: str) -> LogFile:
        """The file at `path`; raises ValueError in Envoy's words where it cannot be opened."""
        file = self._files.get(path)
        if file is None:
            try:
                fd = _open(path)
            except OSError as error:
                raise ValueError(f"unable to open file '{path}': {error.strerror}") from None
            file = self._files[path] = LogFile(self, path, fd)
        return file

    def wake(self) -> None:
        """A file has its first line to write: the clock of the next flush starts, and so does the thread."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.flush_seconds, self._on_timer)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log files", daemon=True)
            self._thread.start()

    def reopen(self) -> None:
        """Opens every file again (SIGUSR1, /reopen_logs), so that it can be renamed; lines so far go to the old one."""
        for file in self._files.values():
            file.flush()
            if self._thread is None:
                self._reopen(file)
            else:
                self.queue.put(("reopen", file, []))

    def flush(self) -> None:
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Writes everything that waits, then closes the files. Blocks until the disk has taken it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        if self._thread is not None:
            self.queue.put(("stop", None, []))
            self._thread.join()
            self._thread = None
        for file in self._files.values():
            os.close(file.fd)
        self._files.clear()

    def _on_timer(self) -> None:
        self._timer = None
        self.stats.flushed_by_timer += 1
        self.flush()

    # ---- the thread ----

    def _run(self) -> None:
        while True:
            what, file, lines = self.queue.get()
            if file is None:
                return
            if what == "reopen":
                self._reopen(file)
            else:
                self._write(file, lines)

    def _write(self, file: LogFile, lines: list[str]) -> None:
        text = "".join(lines)
        data = memoryview(text.encode("latin-1", "meshproxy.utf8"))
        try:
            while data:
                data = data[os.write(file.fd, data) :]
        except OSError as error:
            self.stats.write_failed += 1
            _log.error("cannot write to '%s': %s: %d lines are lost", file.path, error.strerror, len(lines))
        else:
            self.stats.write_completed += 1
        self.stats.written += len(text)

    def _reopen(self, file: LogFile) -> None:
        try:
            fd = _open(file.path)
        except OSError as error:
            self.stats.reopen_failed += 1
            _log.error("cannot open '%s' again: %s: the old file stays in use", file.path, error.strerror)
            return
        os.close(file.fd)
        file.fd = fd


def _open(path: str) -> int:
    if path == "/dev/stdout":
        return os.dup(1)
    if path == "/dev/stderr":
        return os.dup(2)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
