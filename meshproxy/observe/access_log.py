"""Access logs: who decides whether an exchange is logged, how it looks, and where the line goes."""

import logging
from collections.abc import Callable
from typing import Any

from meshproxy.observe.operators import Exchange

_log = logging.getLogger("filter")

Filter = Callable[[Exchange], bool]
# Makes an entry, text or bytes, and takes one.
Form = Callable[[Exchange], Any]
Write = Callable[[Any], None]
Later = Callable[[Form, Exchange], None]


class AccessLog:
    """One configured logger (envoy.config.accesslog.v3.AccessLog)."""

    __slots__ = ("_filter", "_format", "_later", "_write")

    def __init__(
        self, format: Form, write: Write, filter: Filter | None = None, later: Later | None = None
    ) -> None:
        """later: takes exchanges that are done, whose lines may be made a little later."""
        self._format = format
        self._write = write
        self._filter = filter
        self._later = later

    def log(self, exchange: Exchange) -> None:
        """A Stream or a ConnectionRecord, as it is now."""
        try:
            if self._filter is None or self._filter(exchange):
                if self._later is not None and exchange.done:
                    self._later(self._format, exchange)
                else:
                    self._write(self._format(exchange))
        except Exception:
            # A log that fails must not keep the exchange from its end.
            _log.exception("an access log failed")


def log_all(logs: tuple[AccessLog, ...]) -> Callable[[Exchange], None] | None:
    """The loggers as one function; None where there are none."""
    if len(logs) <= 1:
        return logs[0].log if logs else None

    def log(exchange: Exchange) -> None:
        for each in logs:
            each.log(exchange)

    return log
