"""Errors that nobody foresaw: one line for the operator, the traceback for whoever asks for it."""

import logging
import traceback
from types import TracebackType

from meshproxy.config.errors import ConfigError, Problems

_log = logging.getLogger("main")


def describe(error: BaseException) -> str:
    """`internal error: KeyError: 'x' (build_routes.py:31)`."""
    place = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    where = f" ({place.filename.rpartition('/')[2]}:{place.lineno})" if place else ""
    text = " ".join(str(error).split())
    return f"internal error: {type(error).__name__}{': ' if text else ''}{text}{where}"


class Building:
    """A block that builds what stands at `where` in the configuration: whatever goes wrong there becomes a problem.

    `failed` collects where something went wrong: what nothing read below there says nothing.
    """

    __slots__ = ("_failed", "_problems", "_where")

    def __init__(self, problems: Problems, where: str, failed: list[str]) -> None:
        self._problems = problems
        self._where = where
        self._failed = failed

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        self._failed.append(self._where)
        if isinstance(error, ValueError | OSError):
            # Rooms below config refuse a value that way, knowing nothing of configuration; or a file cannot be had.
            error = ConfigError(str(error))
        if isinstance(error, ConfigError):
            error.climb(self._where)
            problems = error.problems()
            self._problems.extend(problems)
            self._failed += [problem.path for problem in problems]
        else:
            _log.debug("%s", self._where, exc_info=error)
            self._problems.add(self._where, describe(error))
        return True


