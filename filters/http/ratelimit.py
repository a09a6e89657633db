"""Requests at a rate that a service decides on (envoy.extensions.filters.http.ratelimit.v3.RateLimit)."""

from collections.abc import Callable, Iterable
from typing import Any

from meshproxy.api import (
    Charge,
    Fraction,
    HeaderEdit,
    HttpFilter,
    LocalReply,
    Outcome,
    RateLimit,
    ResponseHeaders,
    Stream,
    add_header,
    build_fraction,
    build_header_value,
    build_own_rate_limits,
    charges,
    start_task,
)
from meshproxy.filters.ratelimit_service import Answer, RateLimitService, ServiceError, add

from .ratelimit_headers import left_headers, retry_after

_TOO_MANY = 429
_FAILED = 500
_RESOURCE_EXHAUSTED = 8
_METADATA = "envoy.filters.http.ratelimit"
_HITS = "envoy.ratelimit.hits_addend"
_NEVER = Fraction(0)
_ALWAYS = Fraction(100)


class Settings:
    """What one filter does, wherever it stands."""

    def __init__(self, config: Any, ctx: Any) -> None:
        self.domain: str = config.domain
        self.stage: int = config.stage
        # Whether requests from inside count, or those from outside; None: both.
        self.internal = {"internal": True, "external": False}.get(config.request_type)
        self.service = RateLimitService.build(config, ctx)
        self.limits = build_own_rate_limits(config, ctx, by_service=True)
        self.is_on: Callable[[Fraction], bool] = ctx.runtime.enabled
        self.enabled = _fraction(config, "filter_enabled", Fraction(100, key="ratelimit.http_filter_enabled"))
        self.enforced = _fraction(config, "filter_enforced", Fraction(100, key="ratelimit.http_filter_enforcing"))
        self.deny = _fraction(config, "failure_mode_deny_percent", _ALWAYS if config.failure_mode_deny else _NEVER)
        code = config.rate_limited_status.take().code if config.rate_limited_status else _TOO_MANY
        self.status = code if code >= 400 else _TOO_MANY
        self.error_status = config.status_on_error.take().code if config.status_on_error else _FAILED
        self.grpc_status = _RESOURCE_EXHAUSTED if config.rate_limited_as_resource_exhausted else None
        self.response_edit = _edit(config, "response_headers_to_add")
        self.tells = config.enum("enable_x_ratelimit_headers") == "DRAFT_VERSION_03"
        self.marks = not config.disable_x_envoy_ratelimited_header
        self.retry_after: bool = config.enable_retry_after_header
        self.namespace: str = config.metadata_namespace or _METADATA
        self.names = f"ratelimit.{config.stat_prefix}." if config.stat_prefix else "ratelimit."


class OfRoute:
    """RateLimitPerRoute."""

    def __init__(self, config: Any, ctx: Any) -> None:
        self.domain: str = config.domain
        self.limits = build_own_rate_limits(config, ctx, by_service=True)
        config.ignore("override_option", why="as in Envoy, vh_rate_limits says it")
        self.host_limits: str = config.enum("vh_rate_limits")


class GlobalRateLimit(HttpFilter):
    """limits: in place of those of the route and its virtual host."""

    def __init__(
        self, settings: Settings, domain: str, limits: tuple[RateLimit, ...], host_limits: str = "OVERRIDE"
    ) -> None:
        self.settings = settings
        self._domain = domain
        self._limits = limits
        self._host_limits = host_limits

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "GlobalRateLimit":
        settings = Settings(config, ctx)
        return cls(settings, settings.domain, settings.limits)

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> OfRoute:
        return OfRoute(config, ctx)

    def for_route(self, override: OfRoute) -> "GlobalRateLimit":
        settings = self.settings
        built = GlobalRateLimit(
            settings, override.domain or settings.domain, override.limits or settings.limits, override.host_limits
        )
        built.name = self.name
        return built

    def on_request_headers(self, stream: Stream, end: bool) -> Outcome:
        settings = self.settings
        if not settings.is_on(settings.enabled):
            return None
        if any(limit.on_done for limit in self._applying(stream)):
            # What this filter has not seen is not counted when it is over.
            stream.keep(self.settings, [])
        if settings.internal is not None and settings.internal is not _from_inside(stream):
            return None
        charged = self._charges(stream, False)
        if not charged:
            return None
        cluster = stream.find_cluster()
        if cluster is None:
            return None
        return self._decide(stream, cluster, self._question(stream, charged), charged)

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        """What the service wants the client to be told."""
        pairs: list[tuple[str, str]] | None = stream.kept(self.settings)
        if pairs and stream.response is not None:
            for name, value in pairs:
                add_header(stream.response, name, value)

    def on_done(self, stream: Stream) -> None:
        """What counts once it is known how the exchange went; nobody waits for the answer."""
        if stream.kept(self.settings) is None:
            return
        charged = self._charges(stream, True)
        if charged and stream.find_cluster() is not None:
            start_task(self._tell(self._question(stream, charged)), "rate limit of what is done")

    async def _tell(self, question: Any) -> None:
        try:
            await self.settings.service.ask(question)
        except ServiceError:
            return

    def _applying(self, stream: Stream) -> Iterable[RateLimit]:
        """The filter's own limits, or those that the route configures for it; else the route's and its host's."""
        if self._limits:
            return self._limits
        route = stream.route
        if route is None or not route.action.forwards:
            return ()
        own = route.action.rate_limits
        limits: tuple[RateLimit, ...] = own.limits if own is not None else ()
        together = self._host_limits == "INCLUDE" or (own is not None and own.with_host)
        if together or (self._host_limits == "OVERRIDE" and not limits):
            limits += stream.virtual_host.rate_limits
        return limits

    def _charges(self, stream: Stream, on_done: bool) -> list[Charge]:
        settings = self.settings
        stage = 0 if self._limits else settings.stage
        return list(charges(stream, self._applying(stream), stage, on_done, settings.is_on))

    def _question(self, stream: Stream, charged: list[Charge]) -> Any:
        state = stream.filter_state or {}
        question = self.settings.service.question(self._domain, _number(state.get(_HITS)))
        for entries, limit, hits in charged:
            allowance = None if limit.allowance is None else limit.allowance(stream)
            add(question, entries, allowance, hits, limit.negative)
        return question

    async def _decide(self, stream: Stream, cluster: Any, question: Any, charged: list[Charge]) -> LocalReply | None:
        settings = self.settings
        count = cluster.stats.named.count
        try:
            answer = await settings.service.ask(question)
        except ServiceError:
            count(settings.names, "error")
            return self._failed(count)
        if answer.metadata:
            for key, value in answer.metadata.items():
                stream.set_metadata(settings.namespace, key, value)
        pairs = self._told(answer, charged)
        if not answer.over:
            count(settings.names, "ok")
        else:
            count(settings.names, "over_limit")
            cluster.stats.responses_of("internal.").charge(settings.status)
            if settings.is_on(settings.enforced):
                return self._refused(stream, answer, pairs)
        stream.keep(self.settings, pairs)
        for name, value in answer.request_headers:
            add_header(stream.request, name, value)
        return None

    def _told(self, answer: Answer, charged: list[Charge]) -> list[tuple[str, str]]:
        settings = self.settings
        pairs = answer.response_headers
        if answer.over and settings.marks:
            pairs.append(("x-envoy-ratelimited", "true"))
        tells = [self._tells(charged, place) for place in range(len(answer.statuses))]
        if any(tells):
            pairs += left_headers(answer.statuses, tells)
        return pairs

    def _tells(self, charged: list[Charge], place: int) -> bool:
        """Whether the status at this place is told: as its limit says, or else the filter."""
        told = charged[place].limit.told if place < len(charged) else None
        return self.settings.tells if told is None else told

    def _refused(self, stream: Stream, answer: Answer, pairs: list[tuple[str, str]]) -> LocalReply:
        settings = self.settings
        headers = ResponseHeaders(settings.status, [])
        for name, value in pairs:
            add_header(headers, name, value)
        settings.response_edit.apply(stream, headers)
        if settings.retry_after and (seconds := retry_after(answer.statuses)) is not None:
            headers.set("retry-after", str(seconds))
        return LocalReply(
            settings.status, answer.body, "request_rate_limited", headers=headers.pairs, flag="RL",
            grpc_status=settings.grpc_status,
        )  # fmt: skip

    def _failed(self, count: Callable[[str, str], None]) -> LocalReply | None:
        settings = self.settings
        if settings.is_on(settings.deny):
            return LocalReply(settings.error_status, b"", "rate_limiter_error", flag="RLSE")
        count(settings.names, "failure_mode_allowed")
        return None


def _from_inside(stream: Stream) -> bool:
    return stream.request.get("x-envoy-internal") == "true"


def _number(value: Any) -> int:
    """Filter state that says how much a request counts."""
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and int(text) < 1 << 32 else 0


def _fraction(config: Any, field: str, default: Fraction) -> Fraction:
    view = getattr(config, field)
    return build_fraction(view) if view else default


def _edit(config: Any, field: str) -> HeaderEdit:
    values = []
    for i, option in enumerate(getattr(config, field)):
        with config.at(field, i):
            values.append(build_header_value(option))
    return HeaderEdit(values)
