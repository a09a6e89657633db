"""The header_mutation filter."""

from typing import Any

import pytest

from meshproxy.config.errors import ConfigError
from meshproxy.testing import Answer, Bench

TYPE = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"


def add(key: str, value: str, **fields: Any) -> dict[str, Any]:
    return {"append": {"header": {"key": key, "value": value}, **fields}}


def filters(most_specific_wins: bool = False, **mutations: Any) -> list[dict[str, Any]]:
    config = {"mutations": mutations, "most_specific_header_mutations_wins": most_specific_wins}
    return [{"name": "hm", "typed_config": {"@type": TYPE, **config}}]


def override(**mutations: Any) -> dict[str, Any]:
    return {"typed_per_filter_config": {"hm": {"@type": f"{TYPE}PerRoute", "mutations": mutations}}}


def test_requests_and_responses() -> None:
    bench = Bench(filters(
        request_mutations=[add("x-a", "1"), add("x-a", "%REQ(x-a)%+"), {"remove": "X-Gone"}],
        response_mutations=[
            add("x-code", "%RESPONSE_CODE%"), {"remove_on_match": {"key_matcher": {"prefix": "x-up-"}}},
        ],
    ))  # fmt: skip
    bench.answer = Answer(headers=[("x-up-1", "1"), ("x-stay", "1"), ("x-up-2", "1")])
    answer = bench.ask(headers=[("x-gone", "1")])
    assert [pair for pair in bench.requests[0].headers if pair[0].startswith("x-a")] == [("x-a", "1"), ("x-a", "1+")]
    assert bench.requests[0].header("x-gone") is None
    assert answer.headers[:2] == [("x-stay", "1"), ("content-length", "8")] and answer.header("x-code") == "200"


def test_response_trailers() -> None:
    bench = Bench(
        filters(response_trailers_mutations=[add("x-t", "1"), {"remove": "gone"}]),
        manager={"http_protocol_options": {"enable_trailers": True}},
        answer=Answer(trailers=[("gone", "1"), ("stay", "1")]),
    )
    bench.ask()
    trailers = bench.streams[0].response_trailers
    assert trailers is not None and trailers.pairs == [("stay", "1"), ("x-t", "1")]


def test_request_trailers() -> None:
    bench = Bench(
        filters(request_trailers_mutations=[add("x-t", "%REQ(x-a)%")]),
        manager={"http_protocol_options": {"enable_trailers": True}},
    )
    head = b"POST / HTTP/1.1\r\nhost: a\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n"
    bench.loop.run_until_complete(bench._exchange([head, b"1\r\na\r\n0\r\nb: 2\r\n\r\n"], "POST"))
    trailers = bench.streams[0].request_trailers
    assert trailers is not None and trailers.pairs == [("b", "2"), ("x-t", "1")]


@pytest.mark.parametrize("most_specific_wins, order", [(False, "own,route,host"), (True, "own,host,route")])
def test_levels(most_specific_wins: bool, order: str) -> None:
    def named(level: str) -> dict[str, Any]:
        return {"request_mutations": [add("x-level", level)]}

    route = {"match": {"prefix": "/"}, "route": {"cluster": "c"}, **override(**named("route"))}
    bench = Bench(filters(most_specific_wins, **named("own")), routes=[route], host=override(**named("host")))
    bench.ask()
    assert bench.requests[0].header("x-level") == order


def query(*mutations: dict[str, Any]) -> list[dict[str, Any]]:
    return filters(query_parameter_mutations=list(mutations))


def record(key: str, value: str, action: str) -> dict[str, Any]:
    return {"append": {"record": {"key": key, "value": value}, "action": action}}


def path_after(path: str, *mutations: dict[str, Any]) -> str:
    bench = Bench(query(*mutations))
    bench.ask(path=path)
    return bench.requests[0].path


def test_query_parameters() -> None:
    changed = path_after(
        "/a?z=1&b=1&gone=1&b=9&gone=2&empty&o=1",
        record("n", "%REQ(:path)%&", "APPEND_IF_EXISTS_OR_ADD"), record("z", "2", "APPEND_IF_EXISTS_OR_ADD"),
        record("b", "2", "OVERWRITE_IF_EXISTS_OR_ADD"), record("c", "3", "ADD_IF_ABSENT"),
        record("z", "no", "ADD_IF_ABSENT"), record("o", "2", "OVERWRITE_IF_EXISTS"),
        record("no", "3", "OVERWRITE_IF_EXISTS"), {"remove": "gone"},
    )  # fmt: skip
    added = "%2Fa%3Fz%3D1%26b%3D1%26gone%3D1%26b%3D9%26gone%3D2%26empty%26o%3D1%26"
    assert changed == f"/a?b=2&c=3&empty=&n={added}&o=2&z=1&z=2"
    assert path_after("/a?b=1", {"remove": "b"}) == "/a"


def test_what_was_escaped_stays_escaped() -> None:
    """Envoy writes it decoded, and so lets a client write other headers into the request."""
    assert path_after("/a?x=%0d%0ax-evil:%20y&%0d%0ak=1", {"remove": "b"}) == "/a?%0D%0Ak=1&x=%0d%0ax-evil:%20y"


@pytest.mark.parametrize(
    "mutation, reason",
    [
        ({}, "One of 'append'/'remove' must be specified."),
        ({"remove": "a", **record("a", "b", "ADD_IF_ABSENT")}, "Only one of"),
        ({"append": {}}, "No record specified"),
        ({"append": {"record": {"key": "a", "value": 1}}}, "Only string value is allowed"),
    ],
)
def test_refused_query_mutations(mutation: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Bench(query(mutation))


def test_refused_header_mutations() -> None:
    with pytest.raises(ConfigError, match=":-prefixed or host headers may not be modified"):
        Bench(filters(request_mutations=[add(":path", "/")]))
