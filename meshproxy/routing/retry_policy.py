"""When a request is tried again (envoy.config.route.v3.RetryPolicy), and how long that waits first."""

import time
from collections.abc import Callable, Mapping
from copy import copy

from meshproxy.http.failures import (
    CONNECT_FAILED,
    CONNECT_TIMEOUT,
    LOCAL_CONNECT_FAILED,
    OVERFLOW,
    REMOTE_REFUSED,
    Failure,
)
from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders
from meshproxy.net.randomness import source
from meshproxy.net.runtime import Runtime
from meshproxy.upstream.endpoint import Endpoint

_random = source("retries").random

# What retry_on may say of answers and failures, and of gRPC statuses; other words mean nothing.
CONDITIONS = frozenset({
    "5xx", "gateway-error", "connect-failure", "envoy-ratelimited", "retriable-4xx", "refused-stream",
    "retriable-status-codes", "retriable-headers", "reset", "reset-before-request", "http3-post-connect-failure",
})  # fmt: skip
GRPC_STATUSES = {
    "cancelled": "1", "deadline-exceeded": "4", "resource-exhausted": "8", "internal": "13", "unavailable": "14",
}  # fmt: skip
_5XX = frozenset(range(500, 600))
_GATEWAY_ERRORS = frozenset({502, 503, 504})
_CONFLICT = 409
_NOT_CONNECTED = (CONNECT_FAILED, LOCAL_CONNECT_FAILED, CONNECT_TIMEOUT)

HeaderMatch = Callable[[Headers], bool]
# Whether another endpoint is to be chosen in place of this one, after tries on those that are given.
HostPredicate = Callable[[Endpoint, list[Endpoint]], bool]


class RetryPolicy:
    """Times in seconds, 0 for none. `settle` once all is set."""

    __slots__ = (
        "_after_any_reset", "_grpc", "_headers", "_rate_limited", "_statuses", "base_interval", "conditions",
        "host_attempts", "host_predicates", "max_interval", "num_retries", "per_try_idle_timeout", "per_try_timeout",
        "priorities_after", "reset_headers", "reset_max_interval", "retriable_headers", "retriable_status_codes",
        "request_headers",
    )  # fmt: skip

    def __init__(self, retry_on: str = "", num_retries: int = 1) -> None:
        self.conditions = words_of(retry_on, CONDITIONS) | words_of(retry_on, GRPC_STATUSES)
        self.num_retries = num_retries
        self.per_try_timeout = 0.0
        self.per_try_idle_timeout = 0.0
        self.retriable_status_codes: frozenset[int] = frozenset()
        self.retriable_headers: tuple[HeaderMatch, ...] = ()
        # With any of these, only requests that one of them matches are tried again.
        self.request_headers: tuple[HeaderMatch, ...] = ()
        # None: Envoy's own, which a runtime key may change.
        self.base_interval: float | None = None
        self.max_interval: float | None = None
        # Response headers that say how long to wait (lower case), and whether they give the time of day.
        self.reset_headers: tuple[tuple[str, bool], ...] = ()
        self.reset_max_interval = 300.0
        self.host_predicates: tuple[HostPredicate, ...] = ()
        self.host_attempts = 1
        # After how many tries priorities that were tried count as down; 0 never (previous_priorities).
        self.priorities_after = 0
        self.settle()

    def settle(self) -> None:
        """Works out what `wants` and `wants_after` look at."""
        on = self.conditions
        self._rate_limited = "envoy-ratelimited" in on
        statuses = _5XX if "5xx" in on else _GATEWAY_ERRORS if "gateway-error" in on else frozenset()
        if "retriable-4xx" in on:
            statuses |= {_CONFLICT}
        if "retriable-status-codes" in on:
            statuses |= self.retriable_status_codes
        self._statuses = statuses
        self._headers = self.retriable_headers if "retriable-headers" in on else ()
        self._grpc = frozenset(GRPC_STATUSES[word] for word in on if word in GRPC_STATUSES)
        self._after_any_reset = not on.isdisjoint(("reset", "5xx", "gateway-error"))

    def takes(self, request: RequestHeaders) -> bool:
        """Whether this request may be tried again at all."""
        return not self.request_headers or any(match(request) for match in self.request_headers)

    def with_asked(self, asked: Mapping[str, str]) -> "RetryPolicy":
        """What it comes to for a request that says more; `asked`: its retry headers as they came."""
        own = copy(self)
        own.conditions |= words_of(asked.get("x-envoy-retry-on", ""), CONDITIONS)
        own.conditions |= words_of(asked.get("x-envoy-retry-grpc-on", ""), GRPC_STATUSES)
        most = whole_number(asked.get("x-envoy-max-retries"))
        if most is not None and own.conditions:
            own.num_retries = most
        codes = map(whole_number, asked.get("x-envoy-retriable-status-codes", "").split(","))
        own.retriable_status_codes |= {code for code in codes if code is not None}
        names = [name.strip(" \t").lower() for name in asked.get("x-envoy-retriable-header-names", "").split(",")]
        own.retriable_headers += tuple(_present(name) for name in names if name)
        own.settle()
        return own

    def wants(self, headers: ResponseHeaders) -> bool:
        """Whether this answer calls for another try."""
        index = headers.index
        # It comes from a proxy like us, whose limit another try would meet again.
        if "x-envoy-ratelimited" in index:
            return self._rate_limited
        if headers.status in self._statuses or index.get("grpc-status") in self._grpc:
            return True
        return any(match(headers) for match in self._headers) if self._headers else False

    def wants_after(self, failure: Failure, sent: bool) -> bool:
        """Whether this failure does. `sent`: something of the request may have reached an upstream."""
        if failure is OVERFLOW:
            return False
        on = self.conditions
        return (
            self._after_any_reset
            or (not sent and "reset-before-request" in on)
            or (failure in _NOT_CONNECTED and "connect-failure" in on)
            or (failure is REMOTE_REFUSED and "refused-stream" in on)
        )

    def asked_to_wait(self, headers: ResponseHeaders) -> float:
        """Seconds that the answer asks for (rate_limited_retry_back_off); 0 where it says nothing, or too much."""
        for name, time_of_day in self.reset_headers:
            number = whole_number(headers.get(name))
            if number is None:
                continue
            seconds = number - int(time.time()) if time_of_day else number
            if 0 <= seconds <= self.reset_max_interval:
                return seconds
        return 0.0


class BackOff:
    """How long each retry waits: any time up to an interval that doubles from try to try (full jitter)."""

    __slots__ = ("_interval", "_most")

    def __init__(self, policy: RetryPolicy, runtime: Runtime) -> None:
        base = policy.base_interval
        if base is None:
            base = max(1, runtime.integer("upstream.base_retry_backoff_ms", 25)) / 1000
        self._interval = base
        self._most = base * 10 if policy.max_interval is None else policy.max_interval

    def next(self) -> float:
        interval = self._interval
        self._interval = min(interval * 2, self._most)
        return _random() * interval


def jitter_above(seconds: float) -> float:
    """What waits at least `seconds`, and up to half as long again, so that not all come back at once."""
    return seconds * (1 + _random() / 2)


def words_of(text: str, known: "frozenset[str] | Mapping[str, str]") -> frozenset[str]:
    """The words of a list that is separated by commas, without those that nobody knows."""
    return frozenset(word for part in text.split(",") if (word := part.strip(" \t\r\n\v\f")) in known)


def whole_number(text: str | None) -> int | None:
    """An unsigned number as absl::SimpleAtoi reads it; None for anything else."""
    if text is None:
        return None
    digits = text.strip(" \t\r\n\v\f").removeprefix("+")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _present(name: str) -> HeaderMatch:
    return lambda headers: name in headers.index
