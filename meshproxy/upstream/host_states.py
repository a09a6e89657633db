"""What one process finds out about endpoints and all processes have to know.

With workers, main alone checks endpoints and decides which of them are ejected. It tells the workers the flags that
it found, and they tell main what only they can see: failures in a row, and responses that say that the endpoint is
about to go. With one worker there is nobody to tell.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from meshproxy.net.shared_numbers import SharedNumbers
from meshproxy.upstream.endpoint import FAILED_ACTIVE_HC, FAILED_OUTLIER_CHECK, Address, Endpoint

if TYPE_CHECKING:
    from meshproxy.upstream.cluster import Cluster, Clusters

# The flags found, and where the workers count together what becomes of the endpoint's exchanges (see outliers.tally).
Known = tuple[tuple[str, ...], int]
Key = tuple[str, Address]
# A cluster's name, an endpoint's address, and what is known of it; None where it is gone.
State = tuple[str, Address, Known | None]
Report = Callable[..., None]

_FAILURES = frozenset({FAILED_ACTIVE_HC, FAILED_OUTLIER_CHECK})


class HostStates:
    """numbers: None with one worker. to_workers, to_main: tell the others, where there are any."""

    def __init__(self, numbers: SharedNumbers | None = None) -> None:
        self.numbers = numbers
        self.to_workers: Callable[[list[State]], None] | None = None
        self.to_main: Callable[..., None] | None = None
        # In main: what workers have been told. In a worker: what it was told.
        self._known: dict[Key, Known] = {}
        self._news: dict[Key, Known | None] = {}
        # By cluster and word: what to do with a report, which begins with the endpoint.
        self._reports: dict[tuple[str, str], Report] = {}

    @property
    def decides(self) -> bool:
        """Whether this is the process that checks and ejects."""
        return self.numbers is None or self.numbers.in_main

    # ---- in main, or in the only process ----

    def publish(self, cluster: "Cluster", endpoint: Endpoint) -> None:
        """The flags of the endpoint have changed."""
        cluster.health_changed(endpoint)
        self.introduce(cluster, endpoint)

    def introduce(self, cluster: "Cluster", endpoint: Endpoint) -> None:
        """Nothing has changed, but the others may not know of it."""
        if self.numbers is not None and self.numbers.rows:
            monitor = endpoint.monitor
            self._tell(cluster, endpoint, (endpoint.found(), -1 if monitor is None else monitor.slot))

    def forget(self, cluster: "Cluster", endpoint: Endpoint) -> None:
        """It is no endpoint of the cluster any more."""
        if self._known.pop((cluster.name, endpoint.address), None) is not None:
            self._tell(cluster, endpoint, None)

    def said(self) -> list[State]:
        """For a new worker."""
        return [(*key, known) for key, known in self._known.items()]

    def hear(self, cluster: "Cluster", word: str, report: Report) -> None:
        """What workers say with this word of endpoints of the cluster is for `report`."""
        self._reports[cluster.name, word] = report

    def take_report(self, clusters: "Clusters", name: str, address: Address, word: str, *arguments: Any) -> None:
        """From a worker. What it says of endpoints that are gone is too late."""
        report = self._reports.get((name, word))
        cluster = clusters.by_name.get(name)
        if report is None or cluster is None:
            return
        for endpoint in cluster.endpoints:
            if endpoint.address == address:
                report(endpoint, *arguments)
                return

    def _tell(self, cluster: "Cluster", endpoint: Endpoint, known: Known | None) -> None:
        """What changes in one turn of the loop is one message."""
        key = (cluster.name, endpoint.address)
        if known is not None:
            self._known[key] = known
        if not self._news:
            asyncio.get_running_loop().call_soon(self._send)
        self._news[key] = known

    def _send(self) -> None:
        news, self._news = self._news, {}
        if self.to_workers is not None:
            self.to_workers([(*key, known) for key, known in news.items()])

    # ---- in a worker ----

    def report(self, cluster: "Cluster", endpoint: Endpoint, word: str, *arguments: Any) -> None:
        if self.to_main is not None:
            self.to_main(cluster.name, endpoint.address, word, *arguments)

    def learn(self, clusters: "Clusters", states: Iterable[State]) -> None:
        """What main found."""
        by_cluster: dict[str, dict[Address, Known]] = {}
        for name, address, known in states:
            if known is None:
                self._known.pop((name, address), None)
            else:
                self._known[name, address] = known
                by_cluster.setdefault(name, {})[address] = known
        for name, wanted in by_cluster.items():
            cluster = clusters.by_name.get(name)
            for endpoint in list(cluster.endpoints) if cluster is not None else ():
                if endpoint.address in wanted:
                    before = _FAILURES.intersection(endpoint.health_flags)
                    self._put(endpoint, wanted[endpoint.address])
                    failures = _FAILURES.intersection(endpoint.health_flags)
                    if failures - before:
                        endpoint.renew_connections()
                    if FAILED_ACTIVE_HC in before - failures:
                        endpoint.healthy_since = time.monotonic()
                    cluster.health_changed(endpoint)  # type: ignore[union-attr]

    def recall(self, cluster: "Cluster", endpoint: Endpoint) -> None:
        """An endpoint of which main may have spoken before this process knew it."""
        known = self._known.get((cluster.name, endpoint.address))
        if known is not None:
            self._put(endpoint, known)

    @staticmethod
    def _put(endpoint: Endpoint, known: Known) -> None:
        found, slot = known
        endpoint.find(found)
        if slot >= 0 and endpoint.monitor is not None:
            endpoint.monitor.share(slot)
