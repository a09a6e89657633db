"""Requests at a limited rate (envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit)."""

from collections.abc import Callable
from typing import Any

from meshproxy.api import (
    ConfigError,
    Fraction,
    HeaderEdit,
    HttpFilter,
    LocalReply,
    ResponseHeaders,
    StatGroup,
    Stream,
    TokenBucket,
    build_fraction,
    build_header_value,
    build_token_bucket,
)

_NEVER = Fraction(0)
_TOO_MANY = 429
_RESOURCE_EXHAUSTED = 8
_BUCKET_KEY = "per_connection_local_rate_limiter"


class LocalRateLimitStats(StatGroup):
    """`<stat_prefix>.http_local_rate_limit.*`."""

    COUNTERS = ("enabled", "enforced", "ok", "rate_limited")

    __slots__ = COUNTERS


class LocalRateLimit(HttpFilter):
    """One bucket for all requests; or, with `per_connection`, a fresh one like it for each connection of a client."""

    def __init__(self, config: Any, ctx: Any) -> None:
        _refuse_unsupported(config)
        self._bucket = build_token_bucket(config.token_bucket, ctx) if config.token_bucket else None
        self._per_connection: bool = config.local_rate_limit_per_downstream_connection
        self._is_on: Callable[[Fraction], bool] = ctx.runtime.enabled
        self._enabled = build_fraction(config.filter_enabled) if config.filter_enabled else _NEVER
        self._enforced = build_fraction(config.filter_enforced) if config.filter_enforced else _NEVER
        code = config.status.take().code if config.status else _TOO_MANY
        self._status = code if code >= 400 else _TOO_MANY
        self._grpc_status = _RESOURCE_EXHAUSTED if config.rate_limited_as_resource_exhausted else None
        self._response_edit = _edit(config, "response_headers_to_add")
        self._request_edit = _edit(config, "request_headers_to_add_when_not_enforced")
        self.stats = LocalRateLimitStats()
        ctx.stats.add(f"{config.stat_prefix}.http_local_rate_limit", self.stats)

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "LocalRateLimit":
        with_headers = config.enum("enable_x_ratelimit_headers") == "DRAFT_VERSION_03"
        return TellingRateLimit(config, ctx) if with_headers else LocalRateLimit(config, ctx)

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
        bucket = self.bucket_of(stream)
        if bucket is None or bucket.take():
            stats.ok += 1
            return None
        stats.rate_limited += 1
        if not self._is_on(self._enforced):
            self._request_edit.apply(stream, stream.request)
            return None
        stats.enforced += 1
        headers = ResponseHeaders(self._status, [])
        self._response_edit.apply(stream, headers)
        return LocalReply(
            self._status, b"local_rate_limited", "local_rate_limited", headers=headers.pairs, flag="RL",
            grpc_status=self._grpc_status,
        )  # fmt: skip

    def bucket_of(self, stream: Stream) -> TokenBucket | None:
        """The bucket that counts for this stream; None where there is no limit."""
        bucket = self._bucket
        if bucket is None or not self._per_connection:
            return bucket
        connection = stream.connection
        own: TokenBucket | None = (connection.filter_state or {}).get(_BUCKET_KEY)
        if own is None:
            own = bucket.fresh()
            connection.set_state(_BUCKET_KEY, own)
        return own


class TellingRateLimit(LocalRateLimit):
    """With enable_x_ratelimit_headers: responses say how much is left (draft-polli-ratelimit-headers-03)."""

    def on_request_headers(self, stream: Stream, end: bool) -> LocalReply | None:
        counted = self.stats.enabled
        reply = super().on_request_headers(stream, end)
        if self.stats.enabled != counted:
            stream.keep(self, self.bucket_of(stream))
        return reply

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        bucket: TokenBucket | None = stream.kept(self)
        response = stream.response
        if bucket is None or response is None:
            return
        response.add("x-ratelimit-limit", str(bucket.maximum))
        response.add("x-ratelimit-remaining", str(int(bucket.tokens)))
        response.add("x-ratelimit-reset", str(bucket.seconds_to_next()))


def _refuse_unsupported(config: Any) -> None:
    config.ignore("stage", "vh_rate_limits", "max_dynamic_descriptors", "always_consume_default_token_bucket",
                  why="descriptors are not supported yet")  # fmt: skip
    for field in ("descriptors", "rate_limits", "local_cluster_rate_limit"):
        if getattr(config, field):
            config.reject(field, "not supported yet: only the token_bucket is")


def _edit(config: Any, field: str) -> HeaderEdit:
    values = []
    for i, option in enumerate(getattr(config, field)):
        with config.at(field, i):
            values.append(build_header_value(option))
    return HeaderEdit(values)
