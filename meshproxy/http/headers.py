"""Header maps: ordered pairs of (lower-case name, value), both Latin-1 text.

A value is the text of the bytes on the wire, one character per byte, so nothing is lost on the way through and no
decoding error can happen on the hot path. Use `strip(" \\t")` and ASCII-only comparisons on values: `str.strip` and
`str.lower` know Unicode and would treat bytes 0x85, 0xA0 or 0xC0 as something they are not on the wire.
"""

from collections.abc import Iterable

Pair = tuple[str, str]


class Headers:
    """An ordered multimap. A name that occurs several times is judged by its joined value (RFC 9110 §5.2).

    `index`: name -> value, joined with a comma where a name repeats. It always fits `pairs`; only the methods here may
    change either.
    """

    __slots__ = ("index", "pairs")

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self.pairs: list[Pair] = pairs if type(pairs) is list else list(pairs)
        self.index = _index_of(self.pairs)

    def get(self, name: str) -> str | None:
        """The value of `name` (lower case), joined by "," where it repeats; None where it is absent."""
        return self.index.get(name)

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def __len__(self) -> int:
        return len(self.pairs)

    def add(self, name: str, value: str) -> None:
        """Appends a line of its own."""
        self.pairs.append((name, value))
        known = self.index.get(name)
        self.index[name] = value if known is None else f"{known},{value}"

    def add_new(self, *pairs: Pair) -> None:
        """Appends lines whose names are known to be absent and to differ from each other."""
        self.pairs.extend(pairs)
        self.index.update(pairs)

    def replace(self, pairs: list[Pair]) -> None:
        """Other lines in place of all that were there."""
        self.pairs = pairs
        self.index = _index_of(pairs)

    def set(self, name: str, value: str) -> None:
        """One line with this value: in the place of the first one that is there, else at the end."""
        index, pairs = self.index, self.pairs
        if name not in index:
            self.add(name, value)
            return
        if len(index) != len(pairs):
            self.pairs = pairs = _without_repeats(pairs, name)
        for place, pair in enumerate(pairs):
            if pair[0] == name:
                pairs[place] = (name, value)
                break
        index[name] = value

    def append(self, name: str, value: str) -> None:
        """Joins to the line that is there with a comma and no space, as Envoy does for headers that it knows."""
        known = self.get(name)
        self.set(name, value if known is None else f"{known},{value}")

    def remove(self, name: str) -> None:
        if name in self.index:
            self.pairs = [pair for pair in self.pairs if pair[0] != name]
            del self.index[name]

    def remove_if(self, names: frozenset[str]) -> None:
        """Removes every name of a set."""
        if not names.isdisjoint(self.index):
            self.replace([pair for pair in self.pairs if pair[0] not in names])

    def byte_size(self) -> int:
        """Bytes of names and values, as Envoy counts them against limits."""
        return sum([len(name) + len(value) for name, value in self.pairs])


def _without_repeats(pairs: list[Pair], name: str) -> list[Pair]:
    """The pairs, but of those with this name only the first."""
    fresh: list[Pair] = []
    seen = False
    for pair in pairs:
        if pair[0] != name:
            fresh.append(pair)
        elif not seen:
            fresh.append(pair)
            seen = True
    return fresh


def _index_of(pairs: list[Pair]) -> dict[str, str]:
    index = dict(pairs)
    if len(index) == len(pairs):
        return index
    index = {}
    for name, value in pairs:
        known = index.get(name)
        index[name] = value if known is None else f"{known},{value}"
    return index


class RequestHeaders(Headers):
    """A request's head. `:method`, `:path`, `:authority`, `:scheme` are attributes; `read_header` serves both kinds."""

    __slots__ = ("__dict__", "authority", "method", "path", "scheme")

    # Name -> name as the client spelled it; only with header_key_format preserve_case.
    spelling: dict[str, str] | None = None
    # `:protocol` of extended CONNECT, or what an HTTP/1 upgrade asks for.
    protocol: str | None = None
    # False where the request named no host at all; `authority` is then "".
    has_authority = True

    def __init__(
        self, method: str, path: str, authority: str, pairs: list[Pair], index: dict[str, str] | None = None,
        scheme: str = "http",
    ) -> None:  # fmt: skip
        """index: `dict(pairs)` where the caller has it and no name repeats."""
        self.pairs = pairs
        self.index = _index_of(pairs) if index is None else index
        self.method = method
        self.path = path
        self.authority = authority
        self.scheme = scheme


def nameless_request() -> RequestHeaders:
    """In place of a head that could not be read."""
    request = RequestHeaders("", "", "", [], scheme="")
    request.has_authority = False
    return request


class ResponseHeaders(Headers):
    """A response's head. `reason`: the reason phrase as the upstream wrote it; None stands for the usual one."""

    __slots__ = ("__dict__", "reason", "status")

    spelling: dict[str, str] | None = None

    def __init__(
        self, status: int, pairs: list[Pair], reason: str | None = None, index: dict[str, str] | None = None
    ) -> None:
        """index: `dict(pairs)` where the caller has it and no name repeats."""
        self.pairs = pairs
        self.index = _index_of(pairs) if index is None else index
        self.status = status
        self.reason = reason


PSEUDO = {":method": "method", ":path": "path", ":authority": "authority", ":scheme": "scheme", "host": "authority"}


def read_header(headers: Headers, name: str) -> str | None:
    """A header or pseudo-header by its name. For values wanted once per request; config-time code prefers getters."""
    if isinstance(headers, RequestHeaders):
        attribute = PSEUDO.get(name)
        if attribute == "authority":
            return headers.authority if headers.has_authority else None
        if attribute is not None:
            value: str | None = getattr(headers, attribute)
            return value or None
    elif name == ":status" and isinstance(headers, ResponseHeaders):
        return str(headers.status)
    return headers.get(name)


def write_header(headers: Headers, name: str, value: str) -> None:
    """Sets a header or a request pseudo-header by its name."""
    attribute = PSEUDO.get(name)
    if attribute is not None and isinstance(headers, RequestHeaders):
        setattr(headers, attribute, value)
    elif name == ":status" and isinstance(headers, ResponseHeaders):
        headers.status = int(value)
    else:
        headers.set(name, value)
