"""Headers that routes add and remove, at every level."""

import pytest

from meshproxy.http.headers import ResponseHeaders
from tests.routing.tables import build, forwarded, routes, stream

ACTIONS = """[
  {header: {key: X-Append, value: new}},
  {header: {key: x-add, value: new}, append_action: ADD_IF_ABSENT},
  {header: {key: x-over, value: new}, append_action: OVERWRITE_IF_EXISTS_OR_ADD},
  {header: {key: x-exist, value: new}, append_action: OVERWRITE_IF_EXISTS}]"""


def level(kind: str, name: str) -> str:
    return (
        f"{kind}_headers_to_add: [{{header: {{key: x-level, value: {name}}}}}], "
        f"{kind}_headers_to_remove: [X-Drop-{name}]"
    )


def at_all_levels(most_specific_wins: bool = False) -> str:
    names = ("cluster", "route", "host", "table")
    both = {name: f"{level('request', name)}, {level('response', name)}" for name in names}
    cluster = f"{{name: origin, weight: 1, {both['cluster']}}}"
    route = f"{{match: {{prefix: /}}, {both['route']}, route: {{weighted_clusters: {{clusters: [{cluster}]}}}}}}"
    host = f"{{name: v, domains: ['*'], {both['host']}, routes: [{route}]}}"
    flag = "true" if most_specific_wins else "false"
    return f"{{name: r, {both['table']}, most_specific_header_mutations_wins: {flag}, virtual_hosts: [{host}]}}"


def test_every_append_action(monkeypatch: pytest.MonkeyPatch) -> None:
    table = routes(
        f"{{match: {{prefix: /}}, request_headers_to_add: {ACTIONS}, response_headers_to_add: {ACTIONS}, "
        "route: {cluster: origin, timeout: 0s}}"
    )
    there = [(f"x-{name}", value) for name in ("append", "add", "over", "exist") for value in ("1", "2")]
    kept = [pair for pair in there if pair[0] in ("x-append", "x-add")]
    changed = [("x-over", "new"), ("x-exist", "new"), ("x-append", "new")]
    absent = [("x-over", "new"), ("x-append", "new"), ("x-add", "new")]
    proto = ("x-forwarded-proto", "http")

    assert forwarded(monkeypatch, table, stream(headers=there)).request.pairs == [proto, *kept, *changed]
    asking = forwarded(monkeypatch, table, stream())
    assert asking.request.pairs == [proto, *absent]

    for pairs, expected in ((there, [*kept, *changed]), ([], absent)):
        response = ResponseHeaders(200, list(pairs))
        for edit in asking.route.response_edits:
            edit(asking, response)
        assert response.pairs == expected


@pytest.mark.parametrize(
    ("most_specific_wins", "order"),
    [(False, ["cluster", "route", "host", "table"]), (True, ["cluster", "table", "host", "route"])],
)
def test_levels(monkeypatch: pytest.MonkeyPatch, most_specific_wins: bool, order: list[str]) -> None:
    table = build(at_all_levels(most_specific_wins))
    drops = [(f"x-drop-{name}", "1") for name in order]
    asking = forwarded(monkeypatch, table, stream(headers=[*drops, ("x-keep", "1")]))
    assert asking.request.get_all("x-level") == order
    assert asking.request.get("x-keep") == "1"
    assert not [name for name, _ in asking.request.pairs if name.startswith("x-drop")]
    response = ResponseHeaders(200, list(drops))
    for edit in asking.route.response_edits:
        edit(asking, response)
    assert response.pairs == [("x-level", name) for name in order]


def test_values_are_worked_out_before_anything_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    table = routes(
        "{name: here, match: {prefix: /}, request_headers_to_add: ["
        "{header: {key: x-a, value: 'was %REQ(x-a)%'}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}, "
        "{header: {key: x-b, value: '%REQ(x-a)%'}}, "
        "{header: {key: x-missing, value: '[%REQ(x-none)%]'}}, "
        "{header: {key: x-empty, value: '%REQ(x-none)%'}}, "
        "{header: {key: x-kept, value: '%REQ(x-none)%'}, keep_empty_value: true}, "
        "{header: {key: x-percent, value: '100%%'}}, "
        "{header: {key: x-route, value: '%ROUTE_NAME%'}}, "
        "{header: {key: x-raw, raw_value: '/w=='}}, "
        "{header: {key: x-none-at-all, value: ''}}"
        "], route: {cluster: origin, timeout: 0s}}"
    )
    request = forwarded(monkeypatch, table, stream(headers=[("x-a", "1")])).request
    assert request.pairs[1:] == [
        ("x-a", "was 1"),
        ("x-b", "1"),
        ("x-missing", "[]"),
        ("x-kept", ""),
        ("x-percent", "100%"),
        ("x-route", "here"),
    ]


def test_deprecated_append(monkeypatch: pytest.MonkeyPatch) -> None:
    table = routes(
        "{match: {prefix: /}, request_headers_to_add: [{header: {key: x-a, value: '2'}, append: false}, "
        "{header: {key: x-b, value: '2'}, append: true}], route: {cluster: origin, timeout: 0s}}"
    )
    request = forwarded(monkeypatch, table, stream(headers=[("x-a", "1"), ("x-b", "1")])).request
    assert (request.get_all("x-a"), request.get_all("x-b")) == (["2"], ["1", "2"])


def test_a_route_without_edits_pays_nothing() -> None:
    route = routes("{match: {prefix: /}, route: {cluster: origin}}").match(stream())
    assert route is not None
    assert route.request_edits == route.response_edits == ()
