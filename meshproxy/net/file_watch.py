"""Watching for a file or link that is put in the place of another (inotify, through the C library).

What counts is a rename onto the watched name, as `mv -T` and Kubernetes' ConfigMaps do it: whoever writes in place
would be read half-way.
"""

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable

_MOVED_TO = 0x80
_EVENT = struct.Struct("iIII")
_READ_AT_ONCE = 64 * 1024


class FileWatch:
    """Calls `changed` after something was renamed onto one of the watched paths; once for a burst of such events."""

    def __init__(self, loop: asyncio.AbstractEventLoop, changed: Callable[[], None]) -> None:
        """Raises OSError where the system gives no more watches."""
        self._loop = loop
        self._changed = changed
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise _error("inotify")
        # By the number of its directory's watch: the names in it.
        self._names: dict[int, set[bytes]] = {}
        loop.add_reader(self._descriptor, self._read)

    def add(self, path: str) -> None:
        """Raises OSError."""
        directory, name = os.path.split(path)
        number = self._libc.inotify_add_watch(self._descriptor, os.fsencode(directory or "."), _MOVED_TO)
        if number < 0:
            raise _error(path)
        self._names.setdefault(number, set()).add(os.fsencode(name))

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        data = os.read(self._descriptor, _READ_AT_ONCE)
        met = False
        while data:
            number, _, _, length = _EVENT.unpack_from(data)
            name = data[_EVENT.size : _EVENT.size + length].rstrip(b"\0")
            met = met or name in self._names.get(number, ())
            data = data[_EVENT.size + length :]
        if met:
            self._changed()


def _error(path: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), path)
