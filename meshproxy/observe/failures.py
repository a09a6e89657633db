"""Recent failures: exchanges that ended with a response flag or a 5xx, and TCP sessions that failed, newest last.

Only what fails comes here, so that an exchange that goes well costs nothing. What repeats is counted and not kept
again: a storm of failures costs a lookup each. Sentences are made when somebody reads (explain.py).
"""

import logging
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from meshproxy.observe.failure_facts import facts, route_name, upstream_version
from meshproxy.observe.operators import Exchange

_log = logging.getLogger("filter")

KEPT = 100
# A failure that comes back after so many quiet seconds begins anew: `first` tells since when it has been going on.
QUIET = 300.0
# What of it is shown is the newest example, exchanged at most so often.
_EXAMPLE_SECONDS = 1.0
_LONGEST = 200

Key = tuple[Any, ...]


@dataclass(slots=True)
class Failure:
    """What failed in the same way, `count` times. Times are wall clock, seconds; texts have no control characters.

    `path` has no query and `host` no user: both may hold secrets. `reason`: what the socket or TLS said.
    `status` is 0 where there was no response, and for TCP. `facts`: what explain.py needs to know besides.
    """

    flags: tuple[str, ...]
    status: int
    listener: str
    cluster: str
    endpoint: str
    details: str
    reason: str
    count: int = 1
    first: float = 0.0
    last: float = 0.0
    # Of the newest that was looked at.
    route: str = ""
    version: str = ""
    client: str = ""
    method: str = ""
    host: str = ""
    path: str = ""
    # Seconds from its beginning until it failed.
    elapsed: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What counts as the same failure."""
        return (self.flags, self.status, self.listener, self.cluster, self.endpoint, self.details, self.reason)

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "flags": list(self.flags)}


class Failures:
    """The newest of one process, at most `kept` that differ."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        # The one that failed last is the last.
        self._rows: dict[Key, Failure] = {}

    def add(self, exchange: Exchange) -> None:
        """A Stream or a ConnectionRecord that failed; its response, details and flags are set."""
        try:
            self._add(exchange)
        except Exception:
            # What only watches must not keep the exchange from its end.
            _log.exception("a failure could not be recorded")

    def newest(self) -> list[Failure]:
        """Newest last."""
        return list(self._rows.values())

    def _add(self, exchange: Exchange) -> None:
        now = time.time()
        cluster, endpoint = exchange.cluster, exchange.endpoint
        key = (
            exchange.flags,
            0 if exchange.response is None else exchange.response.status,
            exchange.connection.listener.name,
            "" if cluster is None else cluster.name,
            "" if endpoint is None else endpoint.address_text,
            exchange.details,
            exchange.upstream_failure,
        )
        rows = self._rows
        row = rows.pop(key, None)
        if row is None or now - row.last > QUIET:
            if len(rows) >= self._kept:
                del rows[next(iter(rows))]
            row = Failure(*key, first=now, count=0)
        row.count += 1
        example, row.last = row.last, now
        rows[key] = row
        if now - example >= _EXAMPLE_SECONDS:
            _show(row, exchange, now)


def merge(groups: list[list[Failure]]) -> list[Failure]:
    """The failures of several workers as those of one proxy, newest last."""
    merged: dict[Key, Failure] = {}
    for row in (row for rows in groups for row in rows):
        known = merged.get(row.key)
        if known is None:
            merged[row.key] = row
            continue
        newer = row if row.last >= known.last else known
        merged[row.key] = replace(newer, count=row.count + known.count, first=min(row.first, known.first))
    return sorted(merged.values(), key=lambda row: row.last)[-KEPT:]


def shown(text: str) -> str:
    """Text from the wire (a character per byte) as people may see it: UTF-8, nothing that moves a terminal's cursor."""
    text = text[:_LONGEST].encode("latin-1", "replace").decode("utf-8", "replace")
    return text if text.isprintable() else "".join([each if each.isprintable() else "\ufffd" for each in text])


def _show(row: Failure, exchange: Exchange, now: float) -> None:
    """Takes this exchange for the example."""
    request = exchange.request
    row.route = route_name(exchange)
    row.version = upstream_version(exchange.endpoint)
    row.client = exchange.peer[0]
    if request is not None:
        row.method = shown(request.method)
        row.host = shown(request.authority.rpartition("@")[2])
        row.path = shown((request.path or "").partition("?")[0].partition("#")[0])
    row.elapsed = now - exchange.start_time
    row.facts = facts(exchange)
