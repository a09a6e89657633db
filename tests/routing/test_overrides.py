"""The chain of filters as each route sees it."""

from typing import Any

from meshproxy.http.filter import HttpFilter
from meshproxy.routing.overrides import Override, Overrides, specialise
from meshproxy.routing.route import Route
from meshproxy.routing.table import RouteTable
from tests.routing.tables import match, routes


class Plain(HttpFilter):
    def __init__(self, name: str, disabled: bool = False) -> None:
        self.name = name
        self.disabled = disabled

    def on_request_headers(self, stream: Any, end: bool) -> None: ...


class Configured(Plain):
    def __init__(self, name: str, seen: Any = None) -> None:
        super().__init__(name)
        self.seen = seen

    def for_route(self, override: Any) -> HttpFilter | None:
        return None if override == "nothing" else Configured(self.name, override)


class Merging(Configured):
    def for_levels(self, overrides: list[Any]) -> HttpFilter | None:
        return Configured(self.name, list(overrides))


def table(*overrides: tuple[Overrides, ...]) -> tuple[RouteTable, list[Route]]:
    made = routes(*[match(f"path: /{i}") for i in range(len(overrides))])
    for route, levels in zip(made.all_routes(), overrides, strict=True):
        route.overrides = levels
    return made, list(made.all_routes())


def seen(route: Route) -> dict[str, Any]:
    """Of the filters that run on a route: what they were configured with."""
    assert route.hooks is not None
    owners = [hook.__self__ for _, hook in route.hooks.request_headers]  # type: ignore[attr-defined]
    return {owner.name: getattr(owner, "seen", None) for owner in owners}


def test_routes_that_change_nothing_share_the_hooks() -> None:
    made, found = table((), ({"other": Override(1)},), ())
    chain = [Plain("a"), Configured("b")]
    default = specialise(made, chain)
    assert found[0].hooks is found[2].hooks is default
    assert found[1].hooks is default
    assert [hook.__self__ for _, hook in default.request_headers] == chain  # type: ignore[attr-defined]


def test_the_most_specific_level_counts() -> None:
    made, found = table(({"b": Override("route")}, {"b": Override("host")}), ({"b": Override("host")},))
    specialise(made, [Plain("a"), Configured("b")])
    assert [seen(route) for route in found] == [{"a": None, "b": "route"}, {"a": None, "b": "host"}]


def test_a_filter_may_merge_the_levels() -> None:
    made, found = table(({"b": Override("route")}, {}, {"b": Override("table")}))
    specialise(made, [Merging("b")])
    assert seen(found[0]) == {"b": ["route", "table"]}


def test_equal_settings_share_one_filter_and_one_table() -> None:
    host: Overrides = {"b": Override(["host"])}
    made, found = table((host,), (host,))
    default = specialise(made, [Configured("b")])
    assert found[0].hooks is found[1].hooks is not default


def test_a_filter_with_nothing_to_do_is_in_no_table() -> None:
    made, found = table(({"b": Override("nothing")},))
    specialise(made, [Plain("a"), Configured("b")])
    assert seen(found[0]) == {"a": None}


def test_disabled() -> None:
    off, on = Override(disabled=True), Override("on")
    one_level: list[tuple[Overrides, ...]] = [(), ({"a": off},), ({"b": on},)]
    two_levels: list[tuple[Overrides, ...]] = [
        ({"b": off}, {"b": on}),
        ({"b": on}, {"b": off}),
        ({"a": on}, {"a": off}),
    ]
    made, found = table(*one_level, *two_levels)
    chain = [Configured("a"), Configured("b")]
    chain[1].disabled = True
    specialise(made, chain)
    assert [seen(route) for route in found] == [
        {"a": None},
        {},
        {"a": None, "b": "on"},
        {"a": None},
        {"a": None, "b": "on"},
        {"a": "on"},
    ]


def test_streams_without_a_route_meet_what_is_not_disabled() -> None:
    made, _ = table()
    default = specialise(made, [Plain("a"), Plain("b", disabled=True)])
    assert [hook.__self__.name for _, hook in default.request_headers] == ["a"]  # type: ignore[attr-defined]


def test_weighted_clusters_have_hooks_of_their_own() -> None:
    clusters = "[{name: origin, weight: 1}, {name: origin, weight: 1}]"
    made = routes(f"{{match: {{prefix: /}}, route: {{weighted_clusters: {{clusters: {clusters}}}}}}}")
    first, second = made.all_routes()
    first.overrides = ({"b": Override("first")},)
    specialise(made, [Configured("b")])
    assert (seen(first), seen(second)) == ({"b": "first"}, {"b": None})
