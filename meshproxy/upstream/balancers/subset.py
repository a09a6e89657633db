"""Subsets: only those endpoints are picked from whose metadata are as a route asks (Envoy's SubsetLoadBalancer).

Each selector names keys of `envoy.lb` metadata; endpoints that agree in their values are a subset, which has a balancer
of its own.
"""

from collections.abc import Callable, Iterator, Mapping
from json import dumps
from typing import Any, NamedTuple

from meshproxy.upstream.endpoint import Endpoint, Locality
from meshproxy.upstream.host_set import STRIDE, LocalityHosts
from meshproxy.upstream.priorities import Balancer, Pick
from meshproxy.upstream.stats import ClusterStats

NO_FALLBACK, ANY_ENDPOINT, DEFAULT_SUBSET, KEYS_SUBSET, NOT_DEFINED = (
    "NO_FALLBACK", "ANY_ENDPOINT", "DEFAULT_SUBSET", "KEYS_SUBSET", "NOT_DEFINED",
)  # fmt: skip
# Under this key a route may give several sets of metadata, the first of which that has an endpoint counts.
_FALLBACK_LIST = "fallback_list"

# What a subset has in common: keys in order, each with its value.
Criteria = tuple[tuple[str, Any], ...]


class Selector(NamedTuple):
    """keys: in order. fallback: what is picked where no subset is as asked; KEYS_SUBSET asks for `fallback_keys`."""

    keys: tuple[str, ...]
    fallback: str = NOT_DEFINED
    fallback_keys: frozenset[str] = frozenset()
    single_host: bool = False


class SubsetSettings(NamedTuple):
    """envoy.config.cluster.v3.Cluster.LbSubsetConfig. redundant: a route may ask for more keys than a selector has."""

    selectors: tuple[Selector, ...]
    fallback: str = NO_FALLBACK
    default: Mapping[str, Any] = {}
    panic_any: bool = False
    list_as_any: bool = False
    locality_aware: bool = False
    scale_localities: bool = False
    fallback_list: bool = False
    redundant: bool = False


class SingleHost:
    """The one endpoint of a subset, healthy or not; the first one where there are several."""

    __slots__ = ("_endpoint",)

    def __init__(self) -> None:
        self._endpoint: Endpoint | None = None

    def update(self, endpoints: list[Endpoint]) -> None:
        self._endpoint = min(endpoints, key=lambda each: each.priority) if endpoints else None

    def rebuild(self, endpoints: list[Endpoint]) -> Iterator[None]:
        self.update(endpoints)
        yield

    def pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        return self._endpoint


class SubsetBalancer:
    """make: a balancer for one subset."""

    __slots__ = (
        "_any", "_counts", "_default", "_fallbacks", "_make", "_settings", "_stats", "_subsets", "duplicates", "pick",
    )  # fmt: skip

    def __init__(self, make: Callable[[], Any], stats: ClusterStats, settings: SubsetSettings) -> None:
        self._make = make
        self._stats = stats
        self._settings = settings
        self.pick: Pick = self._pick
        self._subsets: dict[Criteria, Balancer] = {}
        # How many endpoints there are in each priority and locality.
        self._counts: dict[tuple[int, Locality], int] = {}
        self._fallbacks = _fallbacks(settings.selectors)
        wanted = {settings.fallback, *[each.fallback for each in settings.selectors]}
        self._any: Balancer | None = self._balancer() if ANY_ENDPOINT in wanted or settings.panic_any else None
        self._default: Balancer | None = self._balancer() if DEFAULT_SUBSET in wanted else None
        # Endpoints that are in a subset which has room for one only, and came too late.
        self.duplicates = 0

    # ---- making subsets ----

    def update(self, endpoints: list[Endpoint]) -> None:
        for _ in self.rebuild(endpoints):
            pass

    def rebuild(self, endpoints: list[Endpoint]) -> Iterator[None]:
        groups: dict[Criteria, dict[Endpoint, None]] = {}
        single: set[Criteria] = set()
        counts: dict[tuple[int, Locality], int] = {}
        for count, endpoint in enumerate(endpoints):
            place = endpoint.priority, endpoint.locality
            counts[place] = counts.get(place, 0) + 1
            for selector in self._settings.selectors:
                for criteria in self._criteria_of(selector.keys, endpoint):
                    if criteria not in groups and criteria not in self._subsets and selector.single_host:
                        single.add(criteria)
                    groups.setdefault(criteria, {})[endpoint] = None
            if not count % STRIDE:
                yield
        self._counts = counts
        if self._any is not None:
            yield from self._any.rebuild(endpoints)
        if self._default is not None:
            yield from self._default.rebuild([each for each in endpoints if self._is_default(each)])
        yield from self._replace(groups, single)

    def _replace(self, groups: dict[Criteria, dict[Endpoint, None]], single: set[Criteria]) -> Iterator[None]:
        stats = self._stats
        fresh: dict[Criteria, Balancer] = {}
        self.duplicates = 0
        for criteria, members in groups.items():
            balancer = self._subsets.get(criteria)
            if balancer is None:
                balancer = SingleHost() if criteria in single else self._balancer()
                stats.lb_subsets_created += 1
            if isinstance(balancer, SingleHost):
                self.duplicates += len(members) - 1
            yield from balancer.rebuild(list(members))
            fresh[criteria] = balancer
        stats.lb_subsets_removed += len(self._subsets.keys() - fresh.keys())
        stats.lb_subsets_active = len(fresh)
        self._subsets = fresh

    def _balancer(self) -> Balancer:
        balancer = self._make()
        settings = self._settings
        balancer.settings.locality_weighted &= settings.locality_aware
        if settings.scale_localities:
            balancer.locality_weight = self._scaled
        made: Balancer = balancer
        return made

    def _scaled(self, priority: int, hosts: LocalityHosts) -> int:
        """A locality's weight, less where not all of its endpoints are in the subset."""
        whole = self._counts.get((priority, hosts.locality), 0)
        return int(hosts.weight * len(hosts.all) / whole + 0.5) if whole else 0

    def _criteria_of(self, keys: tuple[str, ...], endpoint: Endpoint) -> list[Criteria]:
        """Of the subsets that an endpoint is in: several where a value is a list, none where a key is missing."""
        values = endpoint.metadata.get("envoy.lb", {}) if endpoint.metadata else {}
        if not keys or any(key not in values for key in keys):
            return []
        found: list[Criteria] = [()]
        for key in keys:
            value = values[key]
            choices = value if self._settings.list_as_any and isinstance(value, list) else [value]
            found = [(*each, (key, _comparable(choice))) for each in found for choice in choices]
        return found

    def _is_default(self, endpoint: Endpoint) -> bool:
        values = endpoint.metadata.get("envoy.lb", {}) if endpoint.metadata else {}
        return all(key in values and self._agree(values[key], asked) for key, asked in self._settings.default.items())

    def _agree(self, value: Any, asked: Any) -> bool:
        if self._settings.list_as_any and isinstance(value, list):
            return any(_comparable(each) == _comparable(asked) for each in value)
        return bool(_comparable(value) == _comparable(asked))

    # ---- picking ----

    def _pick(self, stream: Any, attempt: int = 0) -> Endpoint | None:
        asked: Mapping[str, Any] = stream.lb_metadata() if stream is not None else {}
        if not self._settings.fallback_list or _FALLBACK_LIST not in asked:
            return self._pick_for(asked, stream, attempt)
        rest = {key: value for key, value in asked.items() if key != _FALLBACK_LIST}
        choices = asked[_FALLBACK_LIST]
        if not isinstance(choices, list) or not choices:
            return self._pick_for(rest, stream, attempt)
        for more in choices:
            endpoint = self._pick_for({**rest, **(more if isinstance(more, dict) else {})}, stream, attempt)
            if endpoint is not None:
                return endpoint
        return None

    def _pick_for(self, asked: Mapping[str, Any], stream: Any, attempt: int) -> Endpoint | None:
        if asked:
            if self._settings.redundant:
                asked = self._without_redundant(asked)
            keys = tuple(sorted(asked))
            subset = self._subsets.get(tuple([(key, _comparable(asked[key])) for key in keys]))
            if subset is not None:
                self._stats.lb_subsets_selected += 1
                return subset.pick(stream, attempt)
            selector = self._fallbacks.get(keys)
            if selector is not None and selector.fallback != NOT_DEFINED:
                return self._fall_back(selector, asked, stream, attempt)
        return self._fall_back_for_all(stream, attempt)

    def _fall_back(
        self, selector: Selector, asked: Mapping[str, Any], stream: Any, attempt: int
    ) -> Endpoint | None:
        if selector.fallback == KEYS_SUBSET:
            return self._pick_for({key: asked[key] for key in selector.fallback_keys}, stream, attempt)
        chosen = {ANY_ENDPOINT: self._any, DEFAULT_SUBSET: self._default}.get(selector.fallback)
        return None if chosen is None else chosen.pick(stream, attempt)

    def _fall_back_for_all(self, stream: Any, attempt: int) -> Endpoint | None:
        settings, stats = self._settings, self._stats
        chosen = {ANY_ENDPOINT: self._any, DEFAULT_SUBSET: self._default}.get(settings.fallback)
        if chosen is None:
            return None
        endpoint = chosen.pick(stream, attempt)
        if endpoint is not None:
            stats.lb_subsets_fallback += 1
        elif settings.panic_any and self._any is not None:
            endpoint = self._any.pick(stream, attempt)
            if endpoint is not None:
                stats.lb_subsets_fallback_panic += 1
        return endpoint

    def _without_redundant(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        for selector in self._settings.selectors:
            if all(key in asked for key in selector.keys):
                return {key: asked[key] for key in selector.keys}
        return asked


def _fallbacks(selectors: tuple[Selector, ...]) -> dict[tuple[str, ...], Selector]:
    """By the keys that are asked for. As in Envoy, a selector whose keys begin an earlier one's has no fallback."""
    found: dict[tuple[str, ...], Selector] = {}
    for selector in selectors:
        for size in range(1, len(selector.keys) + 1):
            whole = size == len(selector.keys)
            found.setdefault(selector.keys[:size], selector if whole else Selector(selector.keys[:size]))
    return found


def _comparable(value: Any) -> Any:
    """Texts as they are. Of other values, text of another kind: for Python true is 1, and lists cannot be found."""
    return value if isinstance(value, str) else (dumps(value, sort_keys=True),)
