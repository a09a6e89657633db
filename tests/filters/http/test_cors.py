"""The cors filter (Fetch standard; the answers are Envoy's)."""

from typing import Any

from meshproxy.http.headers import Pair
from meshproxy.testing import Bench, Message

TYPES = "type.googleapis.com/envoy.extensions.filters.http.cors.v3."
FILTER = {"name": "cors", "typed_config": {"@type": f"{TYPES}Cors"}}
GOOD = "https://good.example"


def policy(**fields: Any) -> dict[str, Any]:
    return {"typed_per_filter_config": {"cors": {"@type": f"{TYPES}CorsPolicy", **fields}}}


def bench(host: dict[str, Any] | None = None, **fields: Any) -> Bench:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "c"}, **(policy(**fields) if fields else {})}
    direct = {"match": {"path": "/direct"}, "direct_response": {"status": 200}}
    return Bench([FILTER], routes=[direct, route], host=host or {})


def preflight(made: Bench, origin: str, *headers: Pair) -> Message:
    asked = [("origin", origin), ("access-control-request-method", "PUT"), *headers]
    return made.ask("OPTIONS", headers=asked)


def access(message: Message) -> list[Pair]:
    return [(name[15:], value) for name, value in message.headers if name.startswith("access-control-")]


def test_a_preflight_is_answered() -> None:
    made = bench(
        allow_origin_string_match=[{"safe_regex": {"regex": "https://.*\\.example"}}], allow_methods="GET, PUT",
        allow_headers="*", expose_headers="x-c", max_age="600", allow_credentials=True,
    )  # fmt: skip
    answer = preflight(made, GOOD, ("access-control-request-headers", "x-a, x-b"))
    assert (answer.status, made.requests, made.streams[0].details) == (200, [], "cors_response")
    assert access(answer) == [
        ("allow-origin", GOOD), ("allow-credentials", "true"), ("allow-methods", "GET, PUT"),
        ("allow-headers", "x-a, x-b"), ("max-age", "600"), ("expose-headers", "x-c"),
    ]  # fmt: skip
    assert made.stats("http.bench.cors") == {"origin_valid": 1}


def test_a_stranger_goes_on_unless_forbidden() -> None:
    made = bench(allow_origin_string_match=[{"exact": GOOD}])
    assert access(preflight(made, "https://bad")) == [] and len(made.requests) == 1
    assert made.stats("http.bench.cors") == {"origin_invalid": 1}
    made = bench(allow_origin_string_match=[{"exact": GOOD}], forward_not_matching_preflights=False, allow_methods="*")
    assert access(preflight(made, "https://bad")) == [("allow-methods", "PUT")] and made.requests == []


def test_actual_requests() -> None:
    made = bench(allow_origin_string_match=[{"exact": "*"}], expose_headers="x-c")
    assert access(made.ask(headers=[("origin", GOOD)])) == [("allow-origin", GOOD), ("expose-headers", "x-c")]
    assert access(made.ask()) == []
    # OPTIONS without the method that is meant is no preflight.
    made.ask("OPTIONS", headers=[("origin", GOOD)])
    assert len(made.requests) == 3


def test_private_networks() -> None:
    made = bench(allow_origin_string_match=[{"exact": GOOD}], allow_private_network_access=True)
    answer = preflight(made, GOOD, ("access-control-request-private-network", "true"))
    assert ("allow-private-network", "true") in access(answer)
    assert ("allow-private-network", "true") not in access(preflight(made, GOOD))


def test_levels_fill_each_other() -> None:
    outer = policy(allow_origin_string_match=[{"exact": GOOD}], allow_methods="HOST", allow_credentials=True)
    made = bench(outer, allow_methods="ROUTE")
    assert access(preflight(made, GOOD)) == [
        ("allow-origin", GOOD), ("allow-credentials", "true"), ("allow-methods", "ROUTE"),
    ]  # fmt: skip


def test_off_and_in_the_shadow() -> None:
    off = {"default_value": {"numerator": 0}}
    made = bench(allow_origin_string_match=[{"exact": GOOD}], filter_enabled=off)
    assert access(preflight(made, GOOD)) == [] and made.stats("http.bench.cors") == {}
    made = bench(allow_origin_string_match=[{"exact": GOOD}], filter_enabled=off, shadow_enabled={
        "default_value": {"numerator": 100}})  # fmt: skip
    assert access(preflight(made, GOOD)) == [] and made.stats("http.bench.cors") == {"origin_valid": 1}


def test_only_routes_to_clusters_and_with_a_policy() -> None:
    made = bench()
    assert access(preflight(made, GOOD)) == []
    assert made.http.hooks.request_headers == ()
    made = bench(policy(allow_origin_string_match=[{"exact": "*"}]))
    assert access(made.ask(path="/direct", headers=[("origin", GOOD)])) == []
