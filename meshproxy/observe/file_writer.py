"""The thread that writes one log file, and all that it may meet: renames, full disks, pipes that nobody reads."""

import logging
import os
import select
import stat
import threading
from collections.abc import Iterator
from queue import SimpleQueue

_log = logging.getLogger("file")

# Of a handed-over batch of lines: write them. Or what to do instead.
_REOPEN = "reopen"
_STOP = "stop"

# Writes of more than this may be mixed with those of another process that writes to the same pipe (POSIX PIPE_BUF).
_WHOLE = select.PIPE_BUF


class FileWriter:
    """Owns the descriptor. The thread begins with the first lines: processes that only fork have none.

    done: bytes written or lost. write_completed, write_failed: writes. All three are counted by the thread.
    """

    __slots__ = (
        "_failing", "_lost", "_piped", "_queue", "_thread", "_torn", "done", "fd", "path", "reopen_failed",
        "write_completed", "write_failed",
    )  # fmt: skip

    def __init__(self, path: str, fd: int) -> None:
        self.path = path
        self._use(fd)
        self.done = self.reopen_failed = self.write_completed = self.write_failed = 0
        # Whether the last write failed, and how many lines were lost since writes began to fail.
        self._failing = False
        self._lost = 0
        # The file ends in the middle of a line that did not fit.
        self._torn = False
        self._queue: SimpleQueue[list[str] | str] = SimpleQueue()
        self._thread: threading.Thread | None = None

    # ---- for the loop ----

    def put(self, lines: list[str]) -> None:
        """Lines with their newlines, in Latin-1 (one character per byte)."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"log {self.path}", daemon=True)
            self._thread.start()
        self._queue.put(lines)

    def reopen(self) -> None:
        if self._thread is None:
            self._reopen()
        else:
            self._queue.put(_REOPEN)

    def stop(self) -> None:
        """The thread is to end when it has written what it has."""
        if self._thread is not None:
            self._queue.put(_STOP)

    def join(self, seconds: float) -> bool:
        """Waits for it and closes the file; False where the thread did not come to its end in time."""
        if self._thread is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                return False
            self._thread = None
        os.close(self.fd)
        return True

    # ---- the thread ----

    def _run(self) -> None:
        while True:
            job = self._queue.get()
            if job == _STOP:
                return
            if job == _REOPEN:
                self._reopen()
            else:
                self._write(job)  # type: ignore[arg-type]

    def _write(self, lines: list[str]) -> None:
        pieces = _in_pieces(lines) if self._piped else ["".join(lines)]
        try:
            for piece in pieces:
                self._write_all(piece.encode("latin-1", "meshproxy.utf8"))
        except OSError as error:
            self.write_failed += 1
            self._lost += len(lines)
            if not self._failing:
                self._failing = True
                _log.error("cannot write to '%s': %s: lines are lost until it can be", self.path, error.strerror)
        else:
            self.write_completed += 1
            if self._failing:
                self._failing = False
                _log.warning("'%s' can be written again: %d lines are lost", self.path, self._lost)
                self._lost = 0
        self.done += sum(map(len, lines))

    def _write_all(self, data: bytes) -> None:
        if self._torn:
            # What comes after half a line must not become its other half.
            data = b"\n" + data
        view = memoryview(data)
        while view:
            try:
                count = os.write(self.fd, view)
            except BlockingIOError:
                # Standard streams are shared with processes that may have made them non-blocking.
                select.select([], [self.fd], [])
                continue
            self._torn = view[count - 1] != 10
            view = view[count:]

    def _reopen(self) -> None:
        try:
            fd = open_for_lines(self.path)
        except OSError as error:
            self.reopen_failed += 1
            _log.error("cannot open '%s' again: %s: the old file stays in use", self.path, error.strerror)
            return
        os.close(self.fd)
        self._use(fd)
        self._torn = False

    def _use(self, fd: int) -> None:
        self.fd = fd
        self._piped = stat.S_ISFIFO(os.fstat(fd).st_mode)


def _in_pieces(lines: list[str]) -> Iterator[str]:
    """Whole lines, as many as one write to a pipe keeps together."""
    piece: list[str] = []
    size = 0
    for line in lines:
        if piece and size + len(line) > _WHOLE:
            yield "".join(piece)
            piece, size = [], 0
        piece.append(line)
        size += len(line)
    yield "".join(piece)


def open_for_lines(path: str) -> int:
    """A descriptor that appends. Raises OSError. Several processes may share a file: each write is whole.

    A named pipe is opened for reading too, or this would wait until somebody reads it.
    """
    if path == "/dev/stdout":
        return os.dup(1)
    if path == "/dev/stderr":
        return os.dup(2)
    access = os.O_RDWR if _is_pipe(path) else os.O_WRONLY
    return os.open(path, access | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        # Nothing is there yet, or opening it will tell what is wrong.
        return False
