"""Times that a gRPC caller gives with its request (`grpc-timeout`), and how far a route follows them."""

from dataclasses import dataclass

from meshproxy.http.grpc import is_grpc
from meshproxy.http.headers import RequestHeaders

_HEADER = "grpc-timeout"
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_MAX_DIGITS = 8
_MOST = 10**_MAX_DIGITS - 1


def read_grpc_timeout(request: RequestHeaders) -> float | None:
    """Seconds, in whole milliseconds rounded up; None where the header is absent or malformed."""
    text = request.get(_HEADER)
    if not text or text[-1] not in _UNITS:
        return None
    digits = text[:-1]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_DIGITS:
        return None
    seconds = int(digits) * _UNITS[text[-1]]
    return -(-seconds * 1000 // 1) / 1000


def write_grpc_timeout(request: RequestHeaders, seconds: float) -> None:
    """Sets the header, in the finest unit whose number is short enough."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("m", 1), ("S", 1000), ("M", 60_000)):
        if milliseconds // size <= _MOST:
            request.set(_HEADER, f"{milliseconds // size}{unit}")
            return
    request.set(_HEADER, f"{min(milliseconds // 3_600_000, _MOST)}H")


def _less(timeout: float, offset: float) -> float:
    """The offset goes off unless nothing would be left: 0 would mean no limit."""
    return timeout - offset if offset < timeout else timeout


@dataclass(frozen=True, slots=True)
class GrpcTimeout:
    """RouteAction.max_grpc_timeout and grpc_timeout_offset: the caller's time is the route's timeout. 0: no limit."""

    longest: float
    offset: float = 0.0

    def of(self, request: RequestHeaders) -> float | None:
        """The timeout of a gRPC request; None for others."""
        if not is_grpc(request):
            return None
        timeout = _less(read_grpc_timeout(request) or 0.0, self.offset)
        return self.longest if self.longest and (not timeout or timeout > self.longest) else timeout


@dataclass(frozen=True, slots=True)
class MaxDuration:
    """RouteAction.MaxStreamDuration, in seconds. 0 means no limit; None that the manager's holds.

    With `grpc_longest` the time of a gRPC caller counts instead, where it gives one.
    """

    seconds: float | None = None
    grpc_longest: float | None = None
    grpc_offset: float = 0.0

    def of(self, request: RequestHeaders) -> float | None:
        """The longest time for this stream. The upstream is told what is left of the caller's."""
        if self.grpc_longest is None or not is_grpc(request) or (asked := read_grpc_timeout(request)) is None:
            return self.seconds
        if self.grpc_longest and asked > self.grpc_longest:
            asked = self.grpc_longest
        asked = _less(asked, self.grpc_offset) if asked else asked
        write_grpc_timeout(request, asked)
        return asked
