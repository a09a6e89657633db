"""What routes change about the filters of the chain (typed_per_filter_config), and the hooks that follow from it.

A chain is specialised per route when the configuration arrives: a filter that has nothing to do on a route is not in
its tables. Routes that change nothing share the hooks of the chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meshproxy.http.filter import Hooks, HttpFilter
from meshproxy.routing.route import Route
from meshproxy.routing.table import RouteTable


@dataclass(frozen=True, slots=True)
class Override:
    """One entry: the compiled configuration for a filter (None where there is none), or that it is switched off."""

    config: Any = None
    disabled: bool = False


# Name of a filter in the chain (or what `field_key` gives) -> its entry at one level.
Overrides = dict[str, Override]


def field_key(field: str) -> str:
    """The key of what a field of the route itself says for filters with that `route_field`: no name of a filter."""
    return f"\0{field}"


def specialise(table: RouteTable, chain: Sequence[HttpFilter]) -> Hooks:
    """Gives every route of the table its hooks; returns those for streams that have no route."""
    special = _Specialiser(chain)
    for route in table.all_routes():
        route.hooks = special.hooks(route)
    for host in table.hosts:
        if host.tls_redirect is not None:
            host.tls_redirect.hooks = special.default
    return special.default


class _Specialiser:
    def __init__(self, chain: Sequence[HttpFilter]) -> None:
        self._chain = chain
        self._known: dict[tuple[int, ...], Hooks] = {}
        # (filter, its overrides) by identity -> what it becomes, so that routes with equal settings share it.
        self._made: dict[tuple[int, ...], HttpFilter | None] = {}
        self.default = self._share([None if entry.disabled else entry for entry in chain])

    def hooks(self, route: Route) -> Hooks:
        levels = route.overrides
        return self._share([self._entry(entry, levels) for entry in self._chain]) if levels else self.default

    def _entry(self, entry: HttpFilter, levels: tuple[Overrides, ...]) -> HttpFilter | None:
        found = [level[entry.name] for level in levels if entry.name in level]
        # The most specific level says whether the filter runs at all; a configuration switches it on.
        if found[0].disabled if found else entry.disabled:
            return None
        configs = [override.config for override in found if override.config is not None]
        if not configs and entry.route_field:
            old = field_key(entry.route_field)
            configs = [level[old].config for level in levels if old in level]
        key = (id(entry), *map(id, configs))
        if key not in self._made:
            self._made[key] = entry.for_levels(configs) if configs else entry
        return self._made[key]

    def _share(self, chain: list[HttpFilter | None]) -> Hooks:
        key = tuple(map(id, chain))
        if key not in self._known:
            self._known[key] = Hooks(chain)
        return self._known[key]
