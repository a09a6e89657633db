"""A storm of the same warning costs little, and says how often it came.

Of one message (the text before its values are filled in) `BURST` lines are written in `SECONDS`; the rest are counted,
and the number is written once the time is over. Messages below a warning are never held back: whoever asked for them
wants them all. Errors that are critical neither.
"""

import logging
import time
from collections.abc import Callable, Iterator

BURST = 10
SECONDS = 5.0
# So that messages that never come twice do not stay in memory.
_MOST = 500

Key = tuple[str, object]


class Repeats:
    """Decides about each record; `pending` are those that stand for what was held back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By message: when its time began, and how often it came since.
        self._seen: dict[Key, list[float]] = {}
        self._held: dict[Key, logging.LogRecord] = {}
        self._next = float("inf")

    def admits(self, record: logging.LogRecord) -> bool:
        """Whether it is written now."""
        if not logging.WARNING <= record.levelno < logging.CRITICAL:
            return True
        # A message that is nothing but a value is as many messages as there are values.
        key: Key = (record.name, record.msg if record.msg != "%s" else record.getMessage())
        now = self._clock()
        seen = self._seen.get(key)
        if seen is None or now - seen[0] >= SECONDS:
            if len(self._seen) >= _MOST:
                self._forget(now)
            self._seen[key] = [now, 1]
            return True
        seen[1] += 1
        if seen[1] <= BURST:
            return True
        self._held[key] = record
        self._next = min(self._next, seen[0] + SECONDS)
        return False

    def pending(self, everything: bool = False) -> Iterator[logging.LogRecord]:
        """What stands for the messages whose time is over, or for all that were held back."""
        now = self._clock()
        if not self._held or (now < self._next and not everything):
            return
        for key, last in list(self._held.items()):
            started, count = self._seen[key]
            if everything or now - started >= SECONDS:
                del self._held[key], self._seen[key]
                yield _summary(last, int(count) - BURST)
        self._next = min((self._seen[key][0] + SECONDS for key in self._held), default=float("inf"))

    def _forget(self, now: float) -> None:
        """Messages whose time is over; all, where that is not enough."""
        old = [key for key, seen in self._seen.items() if now - seen[0] >= SECONDS and key not in self._held]
        for key in old or [key for key in self._seen if key not in self._held]:
            del self._seen[key]


def _summary(last: logging.LogRecord, count: int) -> logging.LogRecord:
    text = f"{last.getMessage()} (the last of {count} such messages that were not written)"
    return logging.LogRecord(last.name, last.levelno, last.pathname, last.lineno, text, (), None, last.funcName)
