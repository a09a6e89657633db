"""Who hears of an endpoint's exchanges: outlier detection, and health checks that responses can fail at once.

An endpoint has a monitor where its cluster wants one, and else None: asking for it is all that the others pay. This
class is the monitor of a cluster with health checks alone; outlier detection extends it.
"""

from typing import Protocol

from meshproxy.http.headers import RequestHeaders, ResponseHeaders

IMMEDIATE_FAILURE = "x-envoy-immediate-health-check-fail"


class Checks(Protocol):
    """The active health checks of a cluster, for those who see its traffic."""

    # Nobody has told them yet that there is traffic.
    untold: bool

    def tell_traffic(self) -> None: ...
    def fail_at_once(self, monitor: "HostMonitor") -> None:
        """A response has said that the endpoint is about to go."""


class HostMonitor:
    """checks: None where there are none."""

    __slots__ = ("checks",)

    # Whether failures of ours (to connect, to get an answer in time) count apart from the endpoint's own.
    splits = False

    def __init__(self, checks: Checks | None) -> None:
        self.checks = checks

    @property
    def slot(self) -> int:
        """Where workers count together what becomes of exchanges; -1 where they do not."""
        return -1

    def share(self, slot: int) -> None:
        """Main has said where that is."""

    def on_headers(self, request: RequestHeaders, headers: ResponseHeaders) -> None:
        """A response began."""
        checks = self.checks
        if checks is not None:
            if checks.untold:
                checks.tell_traffic()
            if IMMEDIATE_FAILURE in headers.index:
                checks.fail_at_once(self)

    def on_connected(self) -> None:
        """An exchange has its connection; what becomes of it is told later."""

    def on_failure(self) -> None:
        """There was no connection, or it broke before an answer."""
        self._note_traffic()

    def on_timeout(self, status: int) -> None:
        """There was no answer in time; status: what the client got instead."""
        self._note_traffic()

    def on_tcp_connected(self) -> None:
        """A TCP connection is there, and nobody knows what good answers on it are."""
        self._note_traffic()

    def on_tcp_timeout(self) -> None:
        """A TCP connection could not be made in time."""
        self._note_traffic()

    def _note_traffic(self) -> None:
        if self.checks is not None and self.checks.untold:
            self.checks.tell_traffic()
