"""Which TLS contexts depend on files, and watching those: a certificate that is rotated serves the next connection."""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshproxy.net.tasks import start_task

if TYPE_CHECKING:
    from meshproxy.net.file_watch import FileWatch
    from meshproxy.net.tls_live import LiveTls

_log = logging.getLogger("secret")


class TlsFiles:
    """All contexts of the process that depend on files."""

    def __init__(self) -> None:
        self.all: list[LiveTls] = []
        # The stats of each listener and cluster that has any contexts (TlsStats), by what their names begin with.
        self.stats: dict[str, Any] = {}
        self._watch: FileWatch | None = None
        self._dirty: dict[LiveTls, None] = {}
        self._working = False

    def add(self, live: "LiveTls") -> None:
        self.all.append(live)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watches from now on. What cannot be watched is reported, and stays as it is."""
        if not any(live.directories() for live in self.all):
            return
        from meshproxy.net.file_watch import FileWatch  # most processes do without inotify

        self._watch = FileWatch(loop)
        for live in self.all:
            self._observe(live)
        # Once more, for what changed before anybody watched.
        self._mark(self.all)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _observe(self, live: "LiveTls") -> None:
        assert self._watch is not None
        for directory in live.directories():
            try:
                self._watch.add_directory(directory, live, self._changed(live))
            except OSError as error:
                _log.warning("cannot watch %s: %s", directory, error.strerror)

    def _changed(self, live: "LiveTls") -> Callable[[], None]:
        return lambda: self._mark([live])

    def _mark(self, lives: list["LiveTls"]) -> None:
        self._dirty.update(dict.fromkeys(lives))
        if not self._working:
            self._working = True
            start_task(self._update(), "load certificates again")

    async def _update(self) -> None:
        """One after the other, with everybody else's turn in between."""
        try:
            while self._dirty:
                live = next(iter(self._dirty))
                del self._dirty[live]
                live.update()
                if self._watch is not None:
                    self._observe(live)
                await asyncio.sleep(0)
        finally:
            self._working = False
