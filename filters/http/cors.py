"""Cross-origin requests: answers preflights, and tells browsers who may read a response.

The filter does what the CorsPolicy of a route, virtual host or route table says; without one it does nothing
(envoy.extensions.filters.http.cors.v3; Fetch standard, "CORS protocol").
"""

from collections.abc import Callable
from typing import Any

from meshproxy.api import (
    Fraction,
    HttpFilter,
    LocalReply,
    RequestHeaders,
    StatGroup,
    Stream,
    build_fraction,
    build_string_matcher,
)

_ALL = Fraction(100)
_NONE = Fraction(0)


class CorsStats(StatGroup):
    """`http.<prefix>.cors.*`."""

    COUNTERS = ("origin_invalid", "origin_valid")

    __slots__ = COUNTERS


class Policy:
    """One CorsPolicy, or several levels of them merged: what a level does not say, the next one does."""

    __slots__ = (
        "allow_credentials", "allow_headers", "allow_methods", "allow_private", "enabled", "expose_headers",
        "forward_unmatched", "max_age", "origins", "shadow",
    )  # fmt: skip

    def __init__(self, config: Any, ctx: Any) -> None:
        self.origins: tuple[Callable[[str], bool], ...] = _origins(config, ctx)
        self.allow_methods: str = config.allow_methods
        self.allow_headers: str = config.allow_headers
        self.expose_headers: str = config.expose_headers
        self.max_age: str = config.max_age
        self.allow_credentials: bool | None = config.allow_credentials
        self.allow_private: bool | None = config.allow_private_network_access
        self.forward_unmatched: bool | None = config.forward_not_matching_preflights
        self.enabled = build_fraction(config.filter_enabled) if config.filter_enabled else _ALL
        self.shadow = build_fraction(config.shadow_enabled) if config.shadow_enabled else _NONE

    def fill_from(self, outer: "Policy") -> None:
        """Takes over what this level does not say."""
        for name in ("origins", "allow_methods", "allow_headers", "expose_headers", "max_age"):
            setattr(self, name, getattr(self, name) or getattr(outer, name))
        for name in ("allow_credentials", "allow_private", "forward_unmatched"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(outer, name))

    def allows(self, origin: str) -> bool:
        return any(matches("*") or matches(origin) for matches in self.origins)


def _origins(config: Any, ctx: Any) -> tuple[Callable[[str], bool], ...]:
    matchers = []
    for i, view in enumerate(config.allow_origin_string_match):
        with config.at("allow_origin_string_match", i):
            matchers.append(build_string_matcher(view, ctx))
    return tuple(matchers)


class Cors(HttpFilter):
    """In the chain it has no hook: only where there is a policy something runs (`PolicyCors`)."""

    route_field = "cors"

    def __init__(self, enabled: Callable[[Fraction], bool]) -> None:
        self._enabled = enabled
        self.stats = CorsStats()

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "Cors":
        built = cls(ctx.runtime.enabled)
        ctx.stats.add(f"{ctx.stat_prefix}cors", built.stats)
        return built

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> Policy:
        return Policy(config, ctx)

    def for_levels(self, overrides: list[Policy]) -> "PolicyCors":
        policy = Policy.__new__(Policy)
        for name in Policy.__slots__:
            setattr(policy, name, getattr(overrides[0], name))
        for outer in overrides[1:]:
            policy.fill_from(outer)
        return PolicyCors(policy, self._enabled, self.stats)


class PolicyCors(HttpFilter):
    """The filter where a policy holds."""

    name = "cors"

    def __init__(self, policy: Policy, enabled: Callable[[Fraction], bool], stats: CorsStats) -> None:
        self._policy = policy
        self._enabled = enabled
        self._stats = stats

    def on_request_headers(self, stream: Stream, end: bool) -> LocalReply | None:
        policy = self._policy
        request = stream.request
        origin = request.get("origin")
        if not origin or not stream.route.action.forwards:
            return None
        enabled = self._enabled(policy.enabled)
        if not enabled and not self._enabled(policy.shadow):
            return None
        allowed = policy.allows(origin)
        if allowed:
            self._stats.origin_valid += 1
        else:
            self._stats.origin_invalid += 1
        if not enabled:
            return None
        if allowed:
            stream.keep(self, origin)
        if request.method != "OPTIONS" or not request.get("access-control-request-method"):
            return None
        if not allowed and policy.forward_unmatched is not False:
            return None
        return LocalReply(200, b"", "cors_response", headers=_preflight(policy, request, origin if allowed else ""))

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        origin = stream.kept(self)
        if origin is None:
            return
        policy = self._policy
        response = stream.response
        assert response is not None
        response.set("access-control-allow-origin", origin)
        if policy.allow_credentials:
            response.set("access-control-allow-credentials", "true")
        if policy.expose_headers:
            response.set("access-control-expose-headers", policy.expose_headers)


def _preflight(policy: Policy, request: RequestHeaders, origin: str) -> list[tuple[str, str]]:
    """The headers of the answer. `*` in a list of methods or headers stands for those that were asked for."""
    headers = []
    if origin:
        headers.append(("access-control-allow-origin", origin))
    if policy.allow_credentials:
        headers.append(("access-control-allow-credentials", "true"))
    if policy.allow_methods:
        asked = request.get("access-control-request-method") or ""
        headers.append(("access-control-allow-methods", asked if policy.allow_methods == "*" else policy.allow_methods))
    if policy.allow_headers:
        asked = request.get("access-control-request-headers") or ""
        headers.append(("access-control-allow-headers", asked if policy.allow_headers == "*" else policy.allow_headers))
    if policy.max_age:
        headers.append(("access-control-max-age", policy.max_age))
    if policy.allow_private and request.get("access-control-request-private-network") == "true":
        headers.append(("access-control-allow-private-network", "true"))
    return headers
