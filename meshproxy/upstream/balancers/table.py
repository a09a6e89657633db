"""What every policy makes: a table to pick from, prepared when endpoints change."""

from collections.abc import Generator
from typing import Any, Protocol

from meshproxy.upstream.endpoint import Endpoint


class Table(Protocol):
    """`attempt`: how many picks for the same try were refused already (hosts that a retry must not take again)."""

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None: ...


class Policy(Protocol):
    """Makes a table; it yields so often that others can have a turn in between.

    previous: the table whose place the new one takes, of which it may keep something.
    """

    def table(self, endpoints: list[Endpoint], previous: Table | None) -> Generator[None, None, Table]: ...


class EmptyTable:
    """There is nothing to pick."""

    __slots__ = ()

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        return None


EMPTY = EmptyTable()


def weights_differ(endpoints: list[Endpoint]) -> bool:
    return len({endpoint.weight for endpoint in endpoints}) > 1
