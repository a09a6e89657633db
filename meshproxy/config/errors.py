"""What is wrong with a configuration, and where.

A path names one field the way the descriptors do: `static_resources.listeners['http'].filter_chains[0].filters[1]`.
Steps are proto field names (snake_case, however the file spelt them) joined by dots; `[3]` is the element of a list,
`['key']` the entry of a map. Elements of the lists in `NAMED` are known by their name, because Envoy wants it unique
and an operator thinks of "listener http", not of listener 4. What is packed in an Any is written as if it lay there.

Whoever finds a fault raises `ConfigError(reason)` and knows nothing of paths; every level that the error climbs through
adds its own step with `at`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

Key = int | str | None
Severity = Literal["error", "ignored"]

_BRACKETS = re.compile(r"\[(\d+|'([^'\\]|\\.)*')\]")

NAMED = frozenset({"listeners", "clusters", "secrets", "virtual_hosts"})


def step(field: str, key: Key = None) -> str:
    """One step of a path: `routes`, `routes[3]` or `clusters['local']`."""
    if key is None:
        return field
    if isinstance(key, int):
        return f"{field}[{key}]"
    return f"{field}['{_escaped(key)}']"


def _escaped(key: str) -> str:
    """A key as it stands between quotes, on one line whatever is in it."""
    if key.isprintable():
        return key.replace("\\", "\\\\").replace("'", "\\'")
    return "".join(repr(character)[1:-1] if character != "'" else "\\'" for character in key)


def element(field: str, index: int, name: Any) -> Key:
    """What stands between the brackets for an element of a list; `name` is the element's own, if it has one."""
    return name if field in NAMED and isinstance(name, str) and name else index


def join(path: str, rest: str) -> str:
    """Two parts of a path, either of which may be empty."""
    if not path or not rest:
        return path or rest
    return path + rest if rest[0] == "[" else f"{path}.{rest}"


class ConfigError(Exception):
    """A reason, and the path to the field at fault, as far as the error has climbed.

    `rooted` says that the path is complete, so that steps further out add nothing.
    """

    def __init__(self, reason: str, path: str = "", *, rooted: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path
        self.rooted = rooted

    def climb(self, prefix: str) -> None:
        """Put `prefix` in front of the path."""
        if not self.rooted:
            self.path = join(prefix, self.path)

    def problems(self) -> list[Problem]:
        """The same as a list: one error may stand for several (see `ConfigErrors`)."""
        return [Problem(self.path, self.reason)]

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


@dataclass(frozen=True, slots=True)
class Problem:
    """One line of a report. `ignored` is a warning: the field is set and known, and means nothing here.

    `position` is `file:line:column` where the configuration came from a file.
    """

    path: str
    reason: str
    severity: Severity = "error"
    position: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: {self.reason}" if self.path else self.reason
        return f"{self.position}: {text}" if self.position else text


class ConfigErrors(ConfigError):
    """Several problems at once; as text, one line each."""

    def __init__(self, problems: Iterable[Problem], *, rooted: bool = False) -> None:
        self._problems = list(problems)
        super().__init__("\n".join(map(str, self._problems)), rooted=rooted)

    def climb(self, prefix: str) -> None:
        if not self.rooted:
            self._problems = [replace(problem, path=join(prefix, problem.path)) for problem in self._problems]

    def problems(self) -> list[Problem]:
        return list(self._problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self._problems))


class at:
    """Adds one step to the path of any error that leaves the block.

    A `ValueError` becomes a `ConfigError` here: rooms below this one refuse a value that way, knowing nothing of
    configuration. With `under`, the path so far, the path is complete and no further step is added.
    """

    __slots__ = ("_field", "_key", "_under")

    def __init__(self, field: str, key: Key = None, *, under: str | None = None) -> None:
        self._field = field
        self._key = key
        self._under = under

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object, /) -> None:
        if isinstance(error, ConfigError):
            self._climb(error)
        elif isinstance(error, ValueError):
            refused = ConfigError(str(error))
            self._climb(refused)
            raise refused from error

    def _climb(self, error: ConfigError) -> None:
        error.climb(step(self._field, self._key))
        if self._under is not None:
            error.climb(self._under)
            error.rooted = True


def condense(problems: Iterable[Problem], at_most: int = 3) -> list[Problem]:
    """The same problems, with no more than `at_most` that differ only in what stands between brackets.

    The last of those that are kept says how many there were: a fault in ten thousand routes is one fault.
    """
    alike: dict[tuple[str, str, Severity], list[Problem]] = {}
    for problem in problems:
        kind = _BRACKETS.sub("[]", problem.path), problem.reason, problem.severity
        alike.setdefault(kind, []).append(problem)
    kept: list[Problem] = []
    for group in alike.values():
        kept.extend(group[:at_most])
        if (more := len(group) - at_most) > 0:
            kept[-1] = replace(kept[-1], reason=f"{kept[-1].reason} (and {more} more like this)")
    return kept


class Locator(Protocol):
    """What knows where in a file a path is."""

    def locate(self, path: str) -> str:
        """`file:line:column` of the nearest thing that the path names, or the file's name."""


class Problems:
    """Collects problems so that an operator sees all of them at once.

    `with problems.collect():` notes the error that leaves the block and goes on after it.
    """

    def __init__(self, source: Locator | None = None) -> None:
        self.source = source
        self._found: list[Problem] = []

    def add(self, path: str, reason: str, severity: Severity = "error") -> None:
        self.extend([Problem(path, reason, severity)])

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add problems, each with its position where the source is known."""
        for problem in problems:
            if self.source and not problem.position:
                problem = replace(problem, position=self.source.locate(problem.path))
            self._found.append(problem)

    def collect(self) -> _Collect:
        return _Collect(self)

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self._found if problem.severity == "error"]

    @property
    def ignored(self) -> list[Problem]:
        return [problem for problem in self._found if problem.severity == "ignored"]

    def check(self) -> None:
        """Raise `ConfigErrors` if there is any error."""
        if errors := self.errors:
            raise ConfigErrors(errors)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class _Collect:
    __slots__ = ("_problems",)

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object, /) -> bool:
        if not isinstance(error, ConfigError):
            return False
        self._problems.extend(error.problems())
        return True
