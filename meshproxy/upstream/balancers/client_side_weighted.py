"""Round robin by weights that endpoints report (client_side_weighted_round_robin).

An endpoint's weight is how many requests it serves per unit of its utilization, as its responses say. Until reports
have come for a while, and once they stop, it has the median weight of the others.
"""

import asyncio
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from meshproxy.http.headers import Headers
from meshproxy.upstream.balancers.load_report import Report, read_report
from meshproxy.upstream.balancers.round_robin import RoundRobin
from meshproxy.upstream.balancers.slow_start import SlowStart
from meshproxy.upstream.balancers.table import Table
from meshproxy.upstream.endpoint import Endpoint

_MOST = (1 << 32) - 1


@dataclass(slots=True)
class ReportSettings:
    """Seconds. metrics: which names count as utilization where the application's is not told.

    penalty: what one failed request in one request adds to the utilization.
    """

    blackout: float = 10.0
    expiration: float = 180.0
    period: float = 1.0
    penalty: float = 0.0
    metrics: tuple[str, ...] = ()


class _Weight:
    """What an endpoint reported last; since: when reports began; at: when the last one came."""

    __slots__ = ("at", "since", "weight")

    def __init__(self, now: float) -> None:
        self.since = self.at = now
        self.weight = 0


class Reports:
    """The weights of one cluster's endpoints, shared by all of its tables."""

    __slots__ = ("_known", "_now", "_picked", "_settings", "_timer")

    def __init__(self, settings: ReportSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._now = now
        self._known: dict[Endpoint, _Weight] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._picked: Endpoint | None = None

    def hear(self, endpoint: Endpoint, headers: Headers) -> None:
        """Headers or trailers of a response of the endpoint."""
        report = read_report(headers)
        weight = self._weight_of(report) if report is not None else 0
        if not weight:
            return
        now = self._now()
        known = self._known.get(endpoint)
        if known is None:
            known = self._known[endpoint] = _Weight(now)
        known.at, known.weight = now, weight

    def _weight_of(self, report: Report) -> int:
        rate = report.get("rps_fractional", 0.0)
        if rate <= 0:
            return 0
        utilization = report.get("application_utilization", 0.0)
        if utilization <= 0:
            utilization = max([report.get(name, 0.0) for name in self._settings.metrics], default=0.0)
        if utilization <= 0:
            utilization = report.get("cpu_utilization", 0.0)
        utilization += self._settings.penalty * report.get("eps", 0.0) / rate
        return max(1, int(min(rate / utilization, _MOST))) if utilization > 0 else 0

    def picked(self, endpoint: Endpoint) -> None:
        """Weights are worked out anew from time to time, as long as there are requests."""
        self._picked = endpoint
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._settings.period, self._tick)

    def _tick(self) -> None:
        endpoint, self._picked, self._timer = self._picked, None, None
        if endpoint is not None and endpoint.cluster is not None and self.apply(endpoint.cluster.endpoints):
            endpoint.cluster.refresh()

    def apply(self, endpoints: Iterable[Endpoint]) -> bool:
        """Gives the endpoints their weights, by priority; whether any is another than before."""
        changed = False
        by_priority: dict[int, list[Endpoint]] = {}
        for endpoint in endpoints:
            by_priority.setdefault(endpoint.priority, []).append(endpoint)
        for group in by_priority.values():
            valid = {each: weight for each in group if (weight := self._valid(each))}
            usual = sorted(valid.values())[len(valid) // 2] if valid else 1
            for endpoint in group:
                weight = valid.get(endpoint, usual)
                changed = changed or endpoint.weight != weight
                endpoint.weight = weight
        living = {each for group in by_priority.values() for each in group}
        self._known = {each: known for each, known in self._known.items() if each in living}
        return changed

    def _valid(self, endpoint: Endpoint) -> int:
        """0 where it is not known for long enough, or has not been heard of for too long."""
        known = self._known.get(endpoint)
        if known is None:
            return 0
        now = self._now()
        if known.at < now - self._settings.expiration:
            del self._known[endpoint]
            return 0
        return known.weight if known.since <= now - self._settings.blackout else 0


class _Reported:
    """A table that listens to the responses of those whom it picks."""

    __slots__ = ("_reports", "table")

    def __init__(self, table: Table, reports: Reports) -> None:
        self.table = table
        self._reports = reports

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        endpoint = self.table.pick(stream, attempt)
        if endpoint is not None and not attempt and getattr(stream, "request", None) is not None:
            self._reports.picked(endpoint)
            stream.edit_response(self._read)
        return endpoint

    def _read(self, stream: Any, headers: Headers) -> None:
        if stream.details == "via_upstream" and stream.endpoint is not None:
            self._reports.hear(stream.endpoint, headers)


class ClientSideWeighted:
    """The policy. Trailers are told to `reports` by whoever reads them."""

    __slots__ = ("_inner", "_reports")

    def __init__(self, reports: Reports, slow_start: SlowStart | None = None) -> None:
        self._reports = reports
        self._inner = RoundRobin(slow_start)

    def table(self, endpoints: list[Endpoint], previous: Table | None) -> Generator[None, None, Table]:
        inner = previous.table if isinstance(previous, _Reported) else None
        return _Reported((yield from self._inner.table(endpoints, inner)), self._reports)
