"""Requests at a limited rate (envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit)."""

from collections.abc import Callable, Iterable
from typing import Any

from meshproxy.api import (
    ConfigError,
    Counted,
    Fraction,
    HeaderEdit,
    HttpFilter,
    LocalReply,
    RateLimit,
    ResponseHeaders,
    StatGroup,
    Stream,
    TokenBucket,
    build_fraction,
    build_header_value,
    build_own_rate_limits,
    descriptors,
)

from .rate_limiter import OK, SHADOW, Limiter, build_limiter

_NEVER = Fraction(0)
_TOO_MANY = 429
_RESOURCE_EXHAUSTED = 8
_LIMITER_KEY = "per_connection_local_rate_limiter"


class LocalRateLimitStats(StatGroup):
    """`<stat_prefix>.http_local_rate_limit.*`."""

    COUNTERS = ("enabled", "enforced", "ok", "rate_limited", "shadow_mode")

    __slots__ = COUNTERS


class LocalRateLimit(HttpFilter):
    """One limiter for all requests; or, per connection, a fresh one like it for each connection of a client."""

    def __init__(self, config: Any, ctx: Any) -> None:
        self._limiter = build_limiter(config, ctx)
        self._per_connection: bool = config.local_rate_limit_per_downstream_connection
        self._limits = build_own_rate_limits(config, ctx, by_service=False)
        self._wants_descriptors = bool(config.descriptors)
        self._stage: int = config.stage
        self._host_limits: str = config.enum("vh_rate_limits")
        self._is_on: Callable[[Fraction], bool] = ctx.runtime.enabled
        self._enabled = build_fraction(config.filter_enabled) if config.filter_enabled else _NEVER
        self._enforced = build_fraction(config.filter_enforced) if config.filter_enforced else _NEVER
        code = config.status.take().code if config.status else _TOO_MANY
        self._status = code if code >= 400 else _TOO_MANY
        self._grpc_status = _RESOURCE_EXHAUSTED if config.rate_limited_as_resource_exhausted else None
        self._retry_after: bool = config.enable_retry_after_header
        self._response_edit = _edit(config, "response_headers_to_add")
        self._request_edit = _edit(config, "request_headers_to_add_when_not_enforced")
        self.stats = LocalRateLimitStats()
        ctx.stats.add(f"{config.stat_prefix}.http_local_rate_limit", self.stats)

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "LocalRateLimit":
        # Limits of routes may say so for themselves, and only descriptors have those.
        tells = config.enum("enable_x_ratelimit_headers") == "DRAFT_VERSION_03"
        return TellingRateLimit(config, ctx) if tells or config.descriptors else LocalRateLimit(config, ctx)

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> "LocalRateLimit":
        if not config.token_bucket:
            raise ConfigError("local rate limit token bucket must be set for per filter configs")
        return cls.build(config, ctx)

    def for_route(self, override: "LocalRateLimit") -> "LocalRateLimit":
        return override

    def on_request_headers(self, stream: Stream, end: bool) -> LocalReply | None:
        if not self._is_on(self._enabled):
            return None
        stats = self.stats
        stats.enabled += 1
        limiter = self._of_connection(stream) if self._per_connection else self._limiter
        verdict, bucket, told = limiter.take(self._descriptors(stream) if self._wants_descriptors else ())
        self.decided(stream, bucket, told)
        if verdict is OK:
            stats.ok += 1
            return None
        stats.rate_limited += 1
        if verdict is SHADOW:
            stats.shadow_mode += 1
            return None
        if not self._is_on(self._enforced):
            self._request_edit.apply(stream, stream.request)
            return None
        stats.enforced += 1
        headers = ResponseHeaders(self._status, [])
        self._response_edit.apply(stream, headers)
        if self._retry_after and bucket is not None:
            headers.set("retry-after", str(max(1, bucket.seconds_to_next())))
        return LocalReply(
            self._status, b"local_rate_limited", "local_rate_limited", headers=headers.pairs, flag="RL",
            grpc_status=self._grpc_status,
        )  # fmt: skip

    def decided(self, stream: Stream, bucket: TokenBucket | None, told: bool | None) -> None:
        """The bucket that decided over a stream, and whether its limit wants that told."""

    def _descriptors(self, stream: Stream) -> Iterable[Counted]:
        """Those of the filter's own rate_limits; without them, those of the route and its virtual host."""
        if self._limits:
            return descriptors(stream, self._limits, 0)
        route = stream.route
        if route is None or not route.action.forwards:
            return ()
        own = route.action.rate_limits
        limits: tuple[RateLimit, ...] = own.limits if own is not None else ()
        together = self._host_limits == "INCLUDE" or (own is not None and own.with_host)
        if together or (self._host_limits == "OVERRIDE" and not limits):
            limits += stream.virtual_host.rate_limits
        return descriptors(stream, limits, self._stage)

    def _of_connection(self, stream: Stream) -> Limiter:
        """The limiter of this client connection; all filters of the chain share it, as in Envoy."""
        connection = stream.connection
        own: Limiter | None = (connection.filter_state or {}).get(_LIMITER_KEY)
        if own is None:
            own = self._limiter.fresh()
            connection.set_state(_LIMITER_KEY, own)
        return own


class TellingRateLimit(LocalRateLimit):
    """With enable_x_ratelimit_headers, or limits that ask for it: responses say how much is left
    (draft-polli-ratelimit-headers-03)."""

    def __init__(self, config: Any, ctx: Any) -> None:
        super().__init__(config, ctx)
        self._tells: bool = config.enum("enable_x_ratelimit_headers") == "DRAFT_VERSION_03"

    def decided(self, stream: Stream, bucket: TokenBucket | None, told: bool | None) -> None:
        if told or (told is None and self._tells):
            stream.keep(self, bucket)

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        bucket: TokenBucket | None = stream.kept(self)
        response = stream.response
        if bucket is None or response is None:
            return
        response.add("x-ratelimit-limit", str(bucket.maximum))
        response.add("x-ratelimit-remaining", str(int(bucket.tokens)))
        response.add("x-ratelimit-reset", str(bucket.seconds_to_next()))


def _edit(config: Any, field: str) -> HeaderEdit:
    values = []
    for i, option in enumerate(getattr(config, field)):
        with config.at(field, i):
            values.append(build_header_value(option))
    return HeaderEdit(values)
