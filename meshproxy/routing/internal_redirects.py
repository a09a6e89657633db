"""Redirects that are followed here instead of by the client (envoy.config.route.v3.InternalRedirectPolicy)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from meshproxy.http.headers import RequestHeaders, ResponseHeaders
from meshproxy.http.stream import Stream
from meshproxy.http.urls import split_url
from meshproxy.routing.route import Route

# What a policy may name; other codes that it names have no effect.
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = 303


@dataclass(slots=True)
class Followed:
    """What one exchange has followed, over all the streams that it was. targets: routes by route that sent there."""

    count: int = 0
    targets: dict[str, set[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One redirect, as predicates see it. Names of routes."""

    stream: Stream
    followed: Followed
    source: str
    target: str
    from_https: bool
    to_https: bool


Predicate = Callable[[Step], bool]


class InternalRedirects:
    """most: how many may follow one another. copied: response headers that the next request gets (lower case)."""

    __slots__ = ("codes", "copied", "cross_scheme", "most", "predicates")

    def __init__(
        self, codes: frozenset[int] = frozenset({302}), most: int = 1, cross_scheme: bool = False,
        predicates: Sequence[Predicate] = (), copied: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.codes = codes
        self.most = most
        self.cross_scheme = cross_scheme
        self.predicates = tuple(predicates)
        self.copied = tuple(copied)

    def redirect(self, stream: Stream, headers: ResponseHeaders) -> bool:
        """Makes the request the one that the answer points to; False, and nothing changed, where it may not."""
        stats = stream.manager.stats
        location = headers.get("location")
        if location is None:
            return False
        url = split_url(location)
        if url is None:
            stats.passthrough_internal_redirect_bad_location += 1
            return False
        scheme, host, path = url
        request = stream.request
        from_https, to_https = request.scheme != "http", scheme != "http"
        if from_https != to_https and not self.cross_scheme:
            stats.passthrough_internal_redirect_unsafe_scheme += 1
            return False
        followed: Followed = stream.followed or Followed()
        stream.followed = followed
        if followed.count >= self.most:
            stats.passthrough_internal_redirect_too_many_redirects += 1
            return False
        before = request.scheme, request.authority, request.path
        copied = self._copy(request, headers)
        request.scheme, request.authority, request.path = scheme, host, path.partition("#")[0]
        target = stream.manager.look_up(stream)
        if not self._accepts(stream, target, from_https, to_https):
            request.scheme, request.authority, request.path = before
            request.replace(copied)
            return False
        followed.count += 1
        if headers.status == _SEE_OTHER and request.method not in ("GET", "HEAD"):
            request.method = "GET"
            request.remove("content-length")
        request.set("x-envoy-original-url", f"{before[0]}://{before[1]}{before[2]}")
        return True

    def _accepts(self, stream: Stream, target: Route | None, from_https: bool, to_https: bool) -> bool:
        stats = stream.manager.stats
        if target is None:
            stats.passthrough_internal_redirect_no_route += 1
            return False
        step = Step(stream, stream.followed, stream.route.name, target.name, from_https, to_https)
        if not all(accepts(step) for accepts in self.predicates):
            stats.passthrough_internal_redirect_predicate += 1
            return False
        return True

    def _copy(self, request: RequestHeaders, headers: ResponseHeaders) -> list[tuple[str, str]]:
        """What the answer does not have, the next request shall not have either. Returns the headers as they were."""
        before = [*request.pairs]
        for name in self.copied:
            request.remove(name)
            for value in headers.get_all(name):
                request.add(name, value)
        return before


# ---- predicates ----


def to_new_routes(step: Step) -> bool:
    """previous_routes: from one route no other is reached twice."""
    seen = step.followed.targets.setdefault(step.source, set())
    if step.target in seen:
        return False
    seen.add(step.target)
    return True


def to_safe_scheme(step: Step) -> bool:
    """safe_cross_scheme: nothing that came by HTTP leads to HTTPS."""
    return step.from_https or not step.to_https


def to_named_routes(names: Sequence[str]) -> Predicate:
    """allow_listed_routes"""
    allowed = frozenset(names)
    return lambda step: step.target in allowed


def as_state_says(key: str, if_absent: bool) -> Predicate:
    """filter_state: a filter of the stream has decided."""

    def accepts(step: Step) -> bool:
        value = (step.stream.filter_state or {}).get(key)
        return if_absent if value is None else value is True or value == "true"

    return accepts
