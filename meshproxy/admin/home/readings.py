"""The numbers of the page, from the statistics of the whole proxy: a Count per cluster, HTTP entry and listener."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field

from meshproxy.downstream.http_stats import HttpStats
from meshproxy.downstream.listener_stats import ListenerStats
from meshproxy.observe.quantiles import Counts
from meshproxy.observe.snapshot import Part, Snapshot, Taken
from meshproxy.observe.stats import StatGroup
from meshproxy.upstream.stats import ClusterStats


@dataclass(slots=True)
class Count:
    """Since the start. `done` and `failed`: requests, or connections where `unit` says so. `times`: milliseconds."""

    done: int = 0
    failed: int = 0
    times: Counts = field(default_factory=dict)
    active: int = 0
    unit: str = "requests"


# Whoever looks at the page does not count as traffic.
_OWN = frozenset({"http.admin", "listener.admin"})
# By the prefix of the stats: `cluster.reviews`, `http.edge`, `listener.127.0.0.1_80`.
Readings = dict[str, Count]


def read(parts: Iterable[Part]) -> Generator[str, None, Readings]:
    """Of all parts of the statistics; a generator, so that others have their turn in between (admin/pages.py)."""
    snapshot = Snapshot()
    for (prefix, cls), taken in parts:
        if cls in _READERS and prefix not in _OWN:
            snapshot.add((prefix, cls), taken)
        yield ""
    readings: Readings = {}
    for (prefix, cls), taken in snapshot.groups.items():
        readings[prefix] = _READERS[cls](cls, taken)
        yield ""
    return readings


def _cluster(cls: type[StatGroup], taken: Taken) -> Count:
    completed = _number(cls, taken, "upstream_rq_completed")
    connections = _number(cls, taken, "upstream_cx_total")
    if connections and not completed:
        return Count(
            connections,
            _number(cls, taken, "upstream_cx_connect_fail"),
            _times(cls, taken, "upstream_cx_connect_ms"),
            _number(cls, taken, "upstream_cx_active"),
            "connections",
        )
    return Count(
        completed,
        _number(cls, taken, "upstream_rq_5xx"),
        _times(cls, taken, "upstream_rq_time"),
        _number(cls, taken, "upstream_rq_active"),
    )


def _http(cls: type[StatGroup], taken: Taken) -> Count:
    return Count(
        _number(cls, taken, "downstream_rq_completed"),
        _number(cls, taken, "downstream_rq_5xx"),
        _times(cls, taken, "downstream_rq_time"),
        _number(cls, taken, "downstream_rq_active"),
    )


def _listener(cls: type[StatGroup], taken: Taken) -> Count:
    active = _number(cls, taken, "downstream_cx_active")
    return Count(_number(cls, taken, "downstream_cx_total"), active=active, unit="connections")


_READERS: dict[type[StatGroup], Callable[[type[StatGroup], Taken], Count]] = {
    ClusterStats: _cluster,
    HttpStats: _http,
    ListenerStats: _listener,
}


def _number(cls: type[StatGroup], taken: Taken, name: str) -> int:
    """Whether it has a place in its group or came up while running; 0 where it did not come up."""
    if name in cls.NUMBERS:
        return int(taken.numbers[cls.NUMBERS.index(name)])
    value = taken.more.get(("counter", name), taken.more.get(("gauge", name), 0))
    return int(value) if isinstance(value, int) else 0


def _times(cls: type[StatGroup], taken: Taken, name: str) -> Counts:
    if name in cls.HISTOGRAMS:
        return taken.histograms[cls.HISTOGRAMS.index(name)]
    value = taken.more.get(("histogram", name), {})
    return value if isinstance(value, dict) else {}
