"""What the page says, before it is HTML: the state of every cluster, and whether something is wrong."""

import time
from collections import defaultdict
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from meshproxy.admin.home.history import History, Rate, Window
from meshproxy.admin.home.readings import Count, Readings, read
from meshproxy.admin.server_view import Server
from meshproxy.observe.failures import Failure
from meshproxy.observe.peers import Peer
from meshproxy.upstream.cluster import Cluster

# A failure that was seen within so many seconds is one of now.
_NOW = 60.0
# From this share on a cluster does not just have errors: it fails.
_FAILING = 0.5
# What clients do says nothing about how we are.
_OF_CLIENTS = frozenset({"DC", "DR", "DPE", "IH", "RL", "NR"})

FAILING, ERRORS, HEALTHY, IDLE = "failing", "errors", "healthy", "idle"
_WORST_FIRST = (FAILING, ERRORS, HEALTHY, IDLE)


@dataclass(slots=True)
class ClusterView:
    """`state`: one of the four words above; `why`: what makes it so, newest first."""

    cluster: Cluster
    count: Count
    rate: Rate
    why: list[Failure]
    state: str = IDLE

    @property
    def name(self) -> str:
        return self.cluster.name

    @property
    def stats(self) -> str:
        """What the names of its stats begin with."""
        return f"cluster.{self.cluster.alt_stat_name}"

    @property
    def healthy(self) -> int:
        return sum(endpoint.healthy for endpoint in self.cluster.endpoints)

    @property
    def since(self) -> float:
        """When the trouble of now began (wall clock); 0 where nothing tells."""
        return min((failure.first for failure in self.why), default=0.0)


@dataclass(slots=True)
class Overview:
    """The proxy at one moment. `clusters`: the worst first. `total`: all HTTP entries together."""

    server: Server
    window: Window
    clusters: list[ClusterView]
    failures: list[Failure]
    # Those of now that have no cluster.
    astray: list[Failure]
    peers: list[Peer]
    readings: Readings
    total: Rate
    _history: History

    def trend(self, name: str) -> list[tuple[float, float]]:
        """See history.py."""
        return self._history.trend(name)

    @property
    def failing(self) -> list[ClusterView]:
        return [each for each in self.clusters if each.state == FAILING]

    @property
    def with_errors(self) -> list[ClusterView]:
        return [each for each in self.clusters if each.state == ERRORS]


def look(server: Server, history: History) -> Generator[str, None, Overview]:
    """`server` has been refreshed. A generator, so that others have their turn in between (admin/pages.py)."""
    readings = yield from read(server.stat_parts())
    window = history.look(readings, time.monotonic(), time.time() - server.started)
    failures = server.failures()[::-1]
    recent: dict[str, list[Failure]] = defaultdict(list)
    since = time.time() - _NOW
    for failure in failures:
        if failure.last >= since and not _is_meant(failure):
            recent[failure.cluster].append(failure)
    clusters = []
    for cluster in server.ctx.clusters:
        clusters.append(_view(cluster, readings, window, history, recent.get(cluster.name, [])))
        yield ""
    clusters.sort(key=lambda each: (_WORST_FIRST.index(each.state), each.name))
    total = window.rate(*[name for name in readings if name.startswith("http.")])
    return Overview(server, window, clusters, failures, recent.get("", []), server.peers(), readings, total, history)


def _is_meant(failure: Failure) -> bool:
    """A connection that was upgraded (101) ends when one side closes it: nobody can tell whether that was in order."""
    as_configured = failure.details == "direct_response" or failure.status == 101
    return as_configured or not _OF_CLIENTS.isdisjoint(failure.flags)


def _view(cluster: Cluster, readings: Readings, window: Window, history: History, why: list[Failure]) -> ClusterView:
    name = f"cluster.{cluster.alt_stat_name}"
    view = ClusterView(cluster, readings.get(name) or Count(), window.rate(name), why)
    view.state = _state(view, window, history)
    return view


def _state(view: ClusterView, window: Window, history: History) -> str:
    failed = bool(view.why) or (window.live and view.rate.failed > 0)
    if failed and _recent_share(view, history) >= _FAILING:
        return FAILING
    unhealthy = len(view.cluster.endpoints) - view.healthy
    if failed or unhealthy:
        return ERRORS
    return HEALTHY if view.rate.done else IDLE


def _recent_share(view: ClusterView, history: History) -> float:
    """How much fails, even where this very moment is quiet."""
    if view.rate.done:
        return view.rate.share
    trend = history.trend(view.stats)
    done = sum(each for each, _ in trend)
    return sum(failed for _, failed in trend) / done if done else 1.0


def words_of_state(view: ClusterView) -> str:
    """The state as a person says it."""
    endpoints = len(view.cluster.endpoints)
    if view.state == ERRORS and not view.why and not view.rate.failed:
        return f"{endpoints - view.healthy} of {endpoints} unhealthy"
    return {FAILING: "failing", ERRORS: "some errors", HEALTHY: "healthy", IDLE: "idle"}[view.state]


def names(views: Iterable[ClusterView], most: int = 3) -> str:
    """`ratings, reviews and 4 more`."""
    found = [each.name for each in views]
    if len(found) <= most:
        return " and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)
    return f"{', '.join(found[:most])} and {len(found) - most} more"
