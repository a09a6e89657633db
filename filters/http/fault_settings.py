"""What the fault filter does to which requests (HTTPFault): how often, for how long, with which status."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from meshproxy.api import (
    Fraction,
    LocalReply,
    RequestHeaders,
    build_header_matchers,
    build_percent,
    random_source,
    wire_struct,
    wire_text,
)

_BODY = "fault filter abort"
_UNLIMITED = (1 << 64) - 1
# What clients ask for, where the configuration lets them.
_DELAY, _DELAY_PERCENT = "x-envoy-fault-delay-request", "x-envoy-fault-delay-request-percentage"
_ABORT, _ABORT_PERCENT = "x-envoy-fault-abort-request", "x-envoy-fault-abort-request-percentage"
_ABORT_GRPC = "x-envoy-fault-abort-grpc-request"
_RATE, _RATE_PERCENT = "x-envoy-fault-throughput-response", "x-envoy-fault-throughput-response-percentage"

_draw = random_source("faults").getrandbits

# Asked of the runtime: key and what holds without it.
Integer = Callable[[str, int], int]
Enabled = Callable[[Fraction, int], bool]


class Chance:
    """How many of all requests. A header of the request may make it less, never more; runtime keys replace it."""

    __slots__ = ("_enabled", "_fraction", "_header")

    def __init__(self, view: Any, key: str, header: str, enabled: Enabled) -> None:
        self._fraction = build_percent(view, key)
        self._header = header
        self._enabled = enabled

    def strikes(self, request: RequestHeaders, cluster_key: str = "") -> bool:
        """cluster_key: a key of the service that calls, which has a chance of its own."""
        fraction = self._fraction
        if self._header:
            asked = number_of(request, self._header, (1 << 32) - 1)
            if asked is not None and asked < fraction.numerator:
                fraction = replace(fraction, numerator=asked)
        if self._enabled(fraction, _draw(63)):
            return True
        return bool(cluster_key) and self._enabled(replace(fraction, key=cluster_key), _draw(63))


class Settings:
    """One HTTPFault, of the chain or of a route."""

    def __init__(self, config: Any, ctx: Any) -> None:
        enabled: Enabled = ctx.runtime.enabled
        self.integer: Integer = ctx.runtime.integer
        self.matches = build_header_matchers(config.headers, ctx) if config.headers else None
        self.upstream_cluster: str = config.upstream_cluster
        self.nodes = frozenset(map(wire_text, config.downstream_nodes))
        self.most: int = config.get("max_active_faults", _UNLIMITED)
        self.most_key: str = config.max_active_faults_runtime or "fault.http.max_active_faults"
        self.by_cluster = not config.disable_downstream_cluster_stats
        self.metadata = wire_struct(config.filter_metadata.take()) if config.filter_metadata else {}
        self.delay = Delay(config, enabled) if config.has("delay") else None
        self.abort = Abort(config, enabled) if config.has("abort") else None
        self.rate = Rate(config, enabled) if config.has("response_rate_limit") else None
        _read_keys(config)

    @property
    def idle(self) -> bool:
        return self.delay is None and self.abort is None and self.rate is None


class Delay:
    def __init__(self, config: Any, enabled: Enabled) -> None:
        view = config.delay
        by_header = view.which("fault_delay_secifier") == "header_delay"
        key = config.delay_percent_runtime or "fault.http.delay.fixed_delay_percent"
        self.chance = Chance(view.percentage, key, _DELAY_PERCENT if by_header else "", enabled)
        self._key: str = config.delay_duration_runtime or "fault.http.delay.fixed_duration_ms"
        self._milliseconds = None if by_header else round(view.seconds("fixed_delay", 0.0) * 1000)

    def milliseconds(self, request: RequestHeaders, cluster: str, integer: Integer) -> int:
        """0 for none."""
        if not self.chance.strikes(request, cluster and f"fault.http.{cluster}.delay.fixed_delay_percent"):
            return 0
        fixed = number_of(request, _DELAY) if self._milliseconds is None else self._milliseconds
        if fixed is None:
            return 0
        found = integer(self._key, fixed)
        return integer(f"fault.http.{cluster}.delay.fixed_duration_ms", found) if cluster else found


class Abort:
    def __init__(self, config: Any, enabled: Enabled) -> None:
        view = config.abort
        kind = view.which("error_type")
        self._by_header = kind == "header_abort"
        key = config.abort_percent_runtime or "fault.http.abort.abort_percent"
        self._chance = Chance(view.percentage, key, _ABORT_PERCENT if self._by_header else "", enabled)
        self._status_key: str = config.abort_http_status_runtime or "fault.http.abort.http_status"
        self._grpc_key: str = config.abort_grpc_status_runtime or "fault.http.abort.grpc_status"
        self._status = view.http_status if kind == "http_status" else None
        self._grpc_status = view.grpc_status if kind == "grpc_status" else None
        self._body = wire_text(view.response_body or _BODY).encode("latin-1")

    def reply(self, request: RequestHeaders, cluster: str, integer: Integer) -> LocalReply | None:
        if not self._chance.strikes(request, cluster and f"fault.http.{cluster}.abort.abort_percent"):
            return None
        status, grpc_status = self._status, self._grpc_status
        if self._by_header:
            status = number_of(request, _ABORT)
            status = status if status is not None and 200 <= status < 600 else None
            grpc_status = number_of(request, _ABORT_GRPC)
        if status is not None:
            found = integer(self._status_key, status)
            if cluster:
                found = integer(f"fault.http.{cluster}.abort.http_status", found)
            return LocalReply(found, self._body, "fault_filter_abort", flag="FI")
        if grpc_status is None:
            return None
        found = integer(self._grpc_key, grpc_status)
        if cluster:
            found = integer(f"fault.http.{cluster}.abort.grpc_status", found)
        return LocalReply(200, self._body, "fault_filter_abort", flag="FI", grpc_status=found)


class Rate:
    def __init__(self, config: Any, enabled: Enabled) -> None:
        view = config.response_rate_limit
        by_header = view.which("limit_type") == "header_limit"
        key = config.response_rate_limit_percent_runtime or "fault.http.rate_limit.response_percent"
        self._chance = Chance(view.percentage, key, _RATE_PERCENT if by_header else "", enabled)
        self._kbps = None if by_header else view.fixed_limit.limit_kbps

    def kbps(self, request: RequestHeaders) -> int:
        """0 for no limit."""
        found = number_of(request, _RATE) if self._kbps is None else self._kbps
        return found if found and self._chance.strikes(request) else 0


def number_of(request: RequestHeaders, name: str, most: int = _UNLIMITED) -> int | None:
    """What a client has written: of several lines the first; None where it is no number."""
    if name not in request.index:
        return None
    text = request.get_all(name)[0].strip(" \t").removeprefix("+")
    if not (text.isascii() and text.isdigit()):
        return None
    return number if (number := int(text[:21])) <= most else None


def _read_keys(config: Any) -> None:
    """Keys of what is not configured are without effect, as in Envoy."""
    _ = (
        config.delay_percent_runtime, config.delay_duration_runtime, config.abort_percent_runtime,
        config.abort_http_status_runtime, config.abort_grpc_status_runtime, config.response_rate_limit_percent_runtime,
    )  # fmt: skip
