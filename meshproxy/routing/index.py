"""Ten thousand routes for the price of ten: routes are found by their paths, and the first in order still wins.

Routes with an exact path or a prefix are found by dict look-ups: one for the whole path, and one for each length that
a configured prefix has. What cannot be looked up (regexes, templates, CONNECT) is tried in order, up to the best route
that a look-up gave.
"""

from collections.abc import Iterable

from meshproxy.http.stream import Stream
from meshproxy.routing.path_match import EXACT, PREFIX, TEST, PathMatch, PathTest, fold_case
from meshproxy.routing.route import Route

# Positions of routes in their configured order, ascending.
Positions = tuple[int, ...]
# One dict for each length of prefix, ascending.
ByLength = tuple[tuple[int, dict[str, Positions]], ...]

_NONE: Positions = ()
# How many paths all indexes together remember, and up to which length.
_MEMO_SIZE = 16_384
_MEMO_PATH = 256


class _Memory:
    """What all indexes remember counts together: many hosts must not add up to much memory under a scan."""

    def __init__(self) -> None:
        self._used: list[dict[str, Positions]] = []
        self._count = 0

    def keep(self, known: dict[str, Positions], path: str, positions: Positions) -> None:
        if self._count >= _MEMO_SIZE:
            for each in self._used:
                each.clear()
            self._used.clear()
            self._count = 0
        if not known:
            self._used.append(known)
        known[path] = positions
        self._count += 1


_memory = _Memory()


class RouteIndex:
    """The routes of one virtual host."""

    __slots__ = ("_folded", "_known", "_paths", "_rest", "_routes")

    def __init__(self, entries: Iterable[tuple[PathMatch, Route]]) -> None:
        entries = list(entries)
        self._routes = [route for _, route in entries]
        self._paths = _Paths([(i, match) for i, (match, _) in enumerate(entries) if not match.fold])
        folded = [(i, match) for i, (match, _) in enumerate(entries) if match.fold]
        self._folded = _Paths(folded) if folded else None
        self._rest: tuple[tuple[int, PathTest], ...] = tuple(
            (i, match.test) for i, (match, _) in enumerate(entries) if match.test is not None
        )

        # Path -> what the look-ups gave: paths repeat, and a memo costs a tenth of the look-ups.
        self._known: dict[str, Positions] = {}

    def find(self, stream: Stream, path: str) -> Route | None:
        """The first route that takes the stream. `path`: without query and fragment."""
        positions = self._known.get(path)
        if positions is None:
            positions = self._look_up(path)
        routes = self._routes
        best = len(routes)
        for position in positions:
            for predicate in routes[position].predicates:
                if not predicate(stream):
                    break
            else:
                best = position
                break
        for position, test in self._rest:
            if position > best:
                break
            if test(stream, path) and all(predicate(stream) for predicate in routes[position].predicates):
                return routes[position]
        return routes[best] if best < len(routes) else None

    def _look_up(self, path: str) -> Positions:
        positions = self._paths.find(path)
        if self._folded is not None:
            positions += self._folded.find(fold_case(path))
        if len(positions) > 1:
            positions = tuple(sorted(positions))
        if len(path) <= _MEMO_PATH:
            _memory.keep(self._known, path, positions)
        return positions


class _Paths:
    """Look-ups by path for one way of comparing letters."""

    __slots__ = ("_exact", "_prefixes", "_separated")

    def __init__(self, matches: list[tuple[int, PathMatch]]) -> None:
        exact: dict[str, Positions] = {}
        prefixes: dict[str, Positions] = {}
        separated: dict[str, Positions] = {}
        for position, match in matches:
            # A query never reaches the comparison: such a route takes nothing.
            if match.kind == TEST or "?" in match.text or "#" in match.text:
                continue
            table = exact if match.kind == EXACT else prefixes if match.kind == PREFIX else separated
            text = fold_case(match.text) if match.fold else match.text
            table[text] = (*table.get(text, _NONE), position)
        self._exact = exact
        self._prefixes = _by_length(prefixes)
        self._separated = _by_length(separated)

    def find(self, path: str) -> Positions:
        """Every route that takes this path; unordered."""
        positions = self._exact.get(path, _NONE)
        length = len(path)
        for size, table in self._prefixes:
            if size > length:
                break
            found = table.get(path[:size])
            if found is not None:
                positions += found
        for size, table in self._separated:
            if size > length:
                break
            if size == length or path[size] == "/":
                found = table.get(path[:size])
                if found is not None:
                    positions += found
        return positions


def _by_length(table: dict[str, Positions]) -> ByLength:
    lengths = sorted({len(text) for text in table})
    return tuple((size, {text: at for text, at in table.items() if len(text) == size}) for size in lengths)
