"""What a caller asks of the router in request headers (Envoy's "HTTP headers consumed from the request").

The headers come from callers inside the mesh: the manager removes them from the requests of others. They end here.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshproxy.http.headers import RequestHeaders

if TYPE_CHECKING:
    from meshproxy.routing.plan import Plan

_TIMEOUT = "x-envoy-upstream-rq-timeout-ms"
_EXPECTED = "x-envoy-expected-rq-timeout-ms"
_PER_TRY = "x-envoy-upstream-rq-per-try-timeout-ms"
_ALTERNATIVE = "x-envoy-upstream-rq-timeout-alt-response"
_DURATION = "x-envoy-upstream-stream-duration-ms"
_ALTERNATIVE_STATS = "x-envoy-upstream-alt-stat-name"
_RETRY = frozenset(
    {
        "x-envoy-retry-on",
        "x-envoy-retry-grpc-on",
        "x-envoy-max-retries",
        "x-envoy-hedge-on-per-try-timeout",
        "x-envoy-retriable-header-names",
        "x-envoy-retriable-status-codes",
    }
)
_CONSUMED = _RETRY | {_TIMEOUT, _PER_TRY, _ALTERNATIVE, _DURATION, _ALTERNATIVE_STATS}

# A request with none of these is forwarded without a look at the rest of this file.
ASKING = _CONSUMED | {_EXPECTED}


@dataclass(slots=True)
class Asked:
    """Times in seconds; None: nothing was asked."""

    timeout: float | None = None
    per_try_timeout: float | None = None
    stream_duration: float | None = None
    # 204 instead of 504 where the upstream is too slow.
    timeout_as_no_content: bool = False
    alternative_stat_name: str = ""
    # The retry headers as they came.
    retry: dict[str, str] = field(default_factory=dict)
    # What all that comes to, together with the route's.
    plan: "Plan | None" = None
    # The timeout is that of grpc-timeout, which tells the upstream too.
    by_grpc: bool = False


def take_asked(request: RequestHeaders, respect_expected: bool) -> Asked:
    """Reads the headers and removes them. `respect_expected`: the timeout that the Envoy before us expects holds."""
    index = request.index
    asked = Asked()
    expected = index.get(_EXPECTED) if respect_expected else None
    asked.timeout = _milliseconds(index.get(_TIMEOUT) if expected is None else expected)
    asked.per_try_timeout = _milliseconds(index.get(_PER_TRY))
    asked.stream_duration = _milliseconds(index.get(_DURATION))
    asked.timeout_as_no_content = _ALTERNATIVE in index
    asked.alternative_stat_name = index.get(_ALTERNATIVE_STATS, "")
    asked.retry = {name: index[name] for name in _RETRY if name in index}
    request.remove_if(_CONSUMED)
    return asked


def _milliseconds(text: str | None) -> float | None:
    """Seconds from a header in milliseconds; what is no number asks for nothing."""
    if text is None:
        return None
    digits = text.strip(" \t").removeprefix("+")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        return None
    return int(digits) / 1000
