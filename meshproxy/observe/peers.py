"""Who talked to whom: the names in the certificates of peers, and how much each of them asked, or was asked.

It is counted by connection, once its peer has proved who it is: a request costs nothing here, because codecs count
their requests anyway. Connections without certificates are in no row.
"""

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

KEPT = 200

Direction = Literal["inbound", "outbound"]
Key = tuple[str, str, str]


@dataclass(slots=True)
class Peer:
    """One peer. inbound: it called us, as `own`; outbound: we called it. Times are wall clock, seconds.

    identity, own: what their certificates say (`Certificate.identity`).
    `requests` stays 0 where no HTTP is spoken.
    """

    direction: Direction
    identity: str
    own: str
    active: int = 0
    connections: int = 0
    requests: int = 0
    first: float = 0.0
    last: float = 0.0

    @property
    def key(self) -> Key:
        return self.direction, self.identity, self.own

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Peers:
    """Those of one process; of more than `kept` the one that was silent longest is forgotten."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        # The one that connected last is the last.
        self._rows: dict[Key, Peer] = {}
        # What is spoken on connections that are there, and whose they are.
        self._live: dict[Any, Peer] = {}

    def connected(self, direction: Direction, identity: str, own: str, codec: Any) -> None:
        """codec: what serves the connection; its `requests` are what was asked on it."""
        key = (direction, identity, own)
        now = time.time()
        row = self._rows.pop(key, None)
        if row is None:
            if len(self._rows) >= self._kept:
                del self._rows[next(iter(self._rows))]
            row = Peer(direction, identity, own, first=now)
        self._rows[key] = row
        row.connections += 1
        row.active += 1
        row.last = now
        self._live[codec] = row

    def gone(self, codec: Any) -> None:
        """The connection is over; one that has never `connected` is no news."""
        row = self._live.pop(codec, None)
        if row is not None:
            row.active -= 1
            row.requests += codec.requests
            row.last = time.time()

    def rows(self) -> list[Peer]:
        """As of now, the connections that are there included; who connected last is the last."""
        now = time.time()
        found = {id(row): replace(row) for row in self._rows.values()}
        for codec, row in self._live.items():
            shown = found.get(id(row))
            if shown is not None:
                shown.requests += codec.requests
                shown.last = now
        return list(found.values())


def merge(groups: Iterable[list[Peer]]) -> list[Peer]:
    """Those of several workers as those of one proxy, by name."""
    merged: dict[Key, Peer] = {}
    for row in (row for rows in groups for row in rows):
        known = merged.get(row.key)
        if known is None:
            merged[row.key] = replace(row)
            continue
        known.active += row.active
        known.connections += row.connections
        known.requests += row.requests
        known.first = min(known.first, row.first)
        known.last = max(known.last, row.last)
    return sorted(merged.values(), key=lambda row: row.key)


def without_connections(rows: list[Peer]) -> list[Peer]:
    """Of a worker that is gone: nobody is connected to it any more."""
    return [replace(row, active=0) for row in rows]
