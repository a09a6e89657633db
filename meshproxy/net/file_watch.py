"""Watching for files that change (inotify, through the C library).

Of a file or link that somebody swaps, what counts is a rename onto the watched name, as `mv -T` and Kubernetes'
ConfigMaps do it: whoever writes in place would be read half-way. Of a directory, whatever was renamed into it, or
written there and closed: who watches it checks what it finds.
"""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable, Hashable

_CLOSE_WRITE = 0x08
_MOVED_TO = 0x80
_ADD = 0x20000000
_EVENT = struct.Struct("iIII")
_READ_AT_ONCE = 64 * 1024

Changed = Callable[[], None]


class FileWatch:
    """Calls who wants to know; once for a burst of events."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises OSError where the system gives no more watches."""
        self._loop = loop
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _error("inotify")
        # By the number of its directory's watch, and by the name in it (b"": any): who wants to know.
        self._wanted: dict[tuple[int, bytes], dict[Hashable, Changed]] = {}
        loop.add_reader(self._descriptor, self._read)

    def add(self, path: str, changed: Changed) -> None:
        """Something was renamed onto `path`. Raises OSError."""
        directory, name = os.path.split(path)
        self._add(directory, os.fsencode(name), changed, changed, _MOVED_TO)

    def add_directory(self, path: str, key: Hashable, changed: Changed) -> None:
        """Something in the directory is new. Asked for again with the same key, nothing changes. Raises OSError."""
        self._add(path, b"", key, changed, _MOVED_TO | _CLOSE_WRITE)

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _add(self, directory: str, name: bytes, key: Hashable, changed: Changed, events: int) -> None:
        number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(directory or "."), events | _ADD)
        if number < 0:
            raise _error(directory)
        self._wanted.setdefault((number, name), {}).setdefault(key, changed)

    def _read(self) -> None:
        data = os.read(self._descriptor, _READ_AT_ONCE)
        met: dict[Changed, None] = {}
        while data:
            number, events, _, length = _EVENT.unpack_from(data)
            name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
            for wanted in (b"", name) if events & _MOVED_TO else (b"",):
                met.update(dict.fromkeys(self._wanted.get((number, wanted), {}).values()))
            data = data[_EVENT.size + length :]
        for changed in met:
            changed()


def _error(path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)
