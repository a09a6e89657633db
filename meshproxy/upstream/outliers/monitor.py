"""What outlier detection hears of one endpoint (Envoy's DetectorHostMonitor)."""

from typing import Protocol

from meshproxy.http.grpc import HTTP_STATUSES, is_grpc
from meshproxy.http.headers import RequestHeaders, ResponseHeaders
from meshproxy.upstream.endpoint import Endpoint
from meshproxy.upstream.host_monitor import Checks, HostMonitor
from meshproxy.upstream.outliers.settings import (
    CONSECUTIVE_5XX,
    CONSECUTIVE_GATEWAY_FAILURE,
    CONSECUTIVE_LOCAL_ORIGIN_FAILURE,
    OutlierSettings,
)
from meshproxy.upstream.outliers.tally import SharedTally, Tally

_GATEWAY_ERRORS = frozenset({502, 503, 504})
_DEGRADED = "x-envoy-degraded"


class Detects(Protocol):
    """The detector, as monitors know it."""

    settings: OutlierSettings

    def threshold(self, name: str) -> int:
        """`consecutive_5xx` and its like, as the runtime has them now."""

    def failed_in_a_row(self, endpoint: Endpoint, kind: str) -> None: ...
    def tally_at(self, slot: int) -> Tally: ...
    def says_degraded(self, endpoint: Endpoint) -> None: ...


class OutlierMonitor(HostMonitor):
    """Times are of the loop's clock, None where it never happened. Rates are in percent, -1 where not known."""

    __slots__ = (
        "_detector", "_detects_degraded", "_is_error", "backoff", "degraded_at", "degraded_backoff", "ejected_at",
        "ejections", "endpoint", "jitter", "local_success_rate", "success_rate", "tally", "undegraded_at",
        "unejected_at",
    )  # fmt: skip

    def __init__(self, detector: Detects, endpoint: Endpoint, tally: Tally, checks: Checks | None) -> None:
        super().__init__(checks)
        self._detector = detector
        self._is_error = detector.settings.is_error
        self._detects_degraded = detector.settings.detect_degraded_hosts
        self.endpoint = endpoint
        self.tally = tally
        self.ejections = 0
        # By how many base ejection times the next ejection is longer.
        self.backoff = 0
        # Milliseconds.
        self.jitter = 0
        self.ejected_at: float | None = None
        self.unejected_at: float | None = None
        # The same of being degraded.
        self.degraded_backoff = 0
        self.degraded_at: float | None = None
        self.undegraded_at: float | None = None
        self.success_rate = self.local_success_rate = -1.0

    @property
    def slot(self) -> int:
        return self.tally.slot if isinstance(self.tally, SharedTally) else -1

    def share(self, slot: int) -> None:
        if slot != self.slot:
            self.tally = self._detector.tally_at(slot)

    # ---- what exchanges come to ----

    def on_headers(self, request: RequestHeaders, headers: ResponseHeaders) -> None:
        if self.checks is not None:
            super().on_headers(request, headers)
        status = headers.status
        if self._is_error is not None:
            self._count_matched(self._is_error(headers))
        elif "grpc-status" in headers.index and is_grpc(request):
            self._count(HTTP_STATUSES.get(headers.index["grpc-status"], 500))
        else:
            self._count(status)
        if self._detects_degraded and _DEGRADED in headers.index and not 500 <= status < 600:
            self._detector.says_degraded(self.endpoint)

    def on_failure(self) -> None:
        self._note_traffic()
        self._count(503)

    def on_timeout(self, status: int) -> None:
        self._note_traffic()
        self._count(status)

    def on_tcp_connected(self) -> None:
        self._note_traffic()
        self._count(200)

    def on_tcp_timeout(self) -> None:
        self._note_traffic()
        self._count(504)

    # ---- inside ----

    def _count_matched(self, error: bool) -> None:
        """What a matcher says of a response."""
        self._count(500 if error else 200)

    def _count(self, status: int) -> None:
        if not 500 <= status < 600:
            self.tally.good()
            return
        errors, gateway_errors = self.tally.bad(status in _GATEWAY_ERRORS)
        detector = self._detector
        if gateway_errors and gateway_errors == detector.threshold("consecutive_gateway_failure"):
            detector.failed_in_a_row(self.endpoint, CONSECUTIVE_GATEWAY_FAILURE)
        if errors == detector.threshold("consecutive_5xx"):
            detector.failed_in_a_row(self.endpoint, CONSECUTIVE_5XX)


class SplittingMonitor(OutlierMonitor):
    """With split_external_local_origin_errors."""

    __slots__ = ()

    splits = True

    def _count_matched(self, error: bool) -> None:
        super()._count_matched(error)
        if not error:
            self.tally.local_good()

    def on_connected(self) -> None:
        self.tally.local_good()

    def on_failure(self) -> None:
        self._note_traffic()
        if self.tally.local_bad() == self._detector.threshold("consecutive_local_origin_failure"):
            self._detector.failed_in_a_row(self.endpoint, CONSECUTIVE_LOCAL_ORIGIN_FAILURE)

    def on_timeout(self, status: int) -> None:
        self.on_failure()

    def on_tcp_connected(self) -> None:
        self._note_traffic()
        self.tally.local_good()

    def on_tcp_timeout(self) -> None:
        self.on_failure()
