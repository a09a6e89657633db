"""Pages and the table of them: every file of this room that has pages adds them here when it is imported."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from meshproxy.admin.server_view import Server, Shown
from meshproxy.http.headers import Pair, RequestHeaders

TEXT = "text/plain; charset=UTF-8"
JSON = "application/json"
HTML = "text/html; charset=UTF-8"


@dataclass(slots=True)
class Request:
    """One request to the admin interface. `query`: its parameters; without any, the fields of a posted form."""

    path: str
    query: dict[str, str]
    headers: RequestHeaders

    def flag(self, name: str) -> bool:
        return name in self.query


@dataclass(slots=True)
class Answer:
    """`body`: text at once, or piece by piece where it is long. Text goes as UTF-8.

    Pieces are made while the page is written, with other connections' turns in between (net/slices.py): a generator
    gives something, if only "", at least every few hundred microseconds.
    """

    body: str | bytes | Iterable[str]
    status: int = 200
    content_type: str = TEXT
    # In front of the ones that every page has.
    headers: list[Pair] = field(default_factory=list)
    # Runs once the answer is written: /quitquitquit must not cut it off.
    then: Callable[[], None] | None = None


Make = Callable[[Server, Request], Answer]


class Parameter(NamedTuple):
    name: str
    help: str


class Page(NamedTuple):
    """One path. `changes`: it changes something, so it takes no GET. `shows`: what of the workers it shows."""

    make: Make
    help: str
    changes: bool
    shows: Shown | None
    parameters: tuple[Parameter, ...]


PAGES: dict[str, Page] = {}


def page(
    path: str, help: str, *parameters: tuple[str, str], changes: bool = False, shows: Shown | None = None
) -> Callable[[Make], Make]:
    """Registers a page; `parameters` are (name, help), as /help lists them."""

    def register(make: Make) -> Make:
        PAGES[path] = Page(make, help, changes, shows, tuple(Parameter(*each) for each in parameters))
        return make

    return register


def parse_query(text: str) -> dict[str, str]:
    """Names and values, percent-decoded; of a name that repeats the first counts. `+` stays a plus, as in Envoy."""
    query: dict[str, str] = {}
    for piece in text.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            query.setdefault(_decoded(name), _decoded(value))
    return query


def _decoded(text: str) -> str:
    """Bytes that are no UTF-8 stay what they are, as lone surrogates."""
    return unquote_to_bytes(text.encode("latin-1")).decode("utf-8", "surrogateescape")


def help_text() -> str:
    """The list of commands, as /help and unknown paths print it."""
    lines = ["admin commands are:"]
    for path, each in sorted(PAGES.items()):
        lines.append(f"  {path}{' (POST)' if each.changes else ''}: {each.help}")
        lines += [f"      {parameter.name}: {parameter.help}" for parameter in each.parameters]
    return "\n".join(lines) + "\n"
