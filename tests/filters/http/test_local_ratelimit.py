"""The local_ratelimit filter."""

from typing import Any

import pytest

from meshproxy.config.errors import ConfigError
from meshproxy.testing import Bench

TYPE = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
STATS = "rl.http_local_rate_limit"
ALL = {"default_value": {"numerator": 100}}
BUCKET = {"max_tokens": 2, "fill_interval": "1000s"}


def config(**fields: Any) -> dict[str, Any]:
    return {"@type": TYPE, "stat_prefix": "rl", "filter_enabled": ALL, "filter_enforced": ALL, **fields}


def limited(**fields: Any) -> Bench:
    return Bench([{"name": "rl", "typed_config": config(token_bucket=BUCKET, **fields)}])


def header(key: str, value: str) -> dict[str, Any]:
    return {"header": {"key": key, "value": value}}


def test_tokens_run_out() -> None:
    bench = limited(response_headers_to_add=[header("x-l", "%RESPONSE_CODE%")])
    assert [bench.ask().status for _ in range(3)] == [200, 200, 429]
    answer = bench.ask()
    assert answer.body == b"local_rate_limited" and answer.headers[0] == ("x-l", "0")
    assert (bench.streams[-1].flags, bench.streams[-1].details) == (("RL",), "local_rate_limited")
    assert bench.stats(STATS) == {"enabled": 4, "ok": 2, "rate_limited": 2, "enforced": 2}


def test_what_is_left_is_told() -> None:
    bench = limited(enable_x_ratelimit_headers="DRAFT_VERSION_03", status={"code": "ServiceUnavailable"})
    told = [bench.ask() for _ in range(3)]
    assert [answer.status for answer in told] == [200, 200, 503]
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    assert [tuple(answer.header(name) for name in names) for answer in told] == [
        ("2", "1", "0"), ("2", "0", "1000"), ("2", "0", "1000"),
    ]  # fmt: skip


def test_not_enforced() -> None:
    off = {"default_value": {"numerator": 0}}
    bench = limited(filter_enforced=off, request_headers_to_add_when_not_enforced=[header("x-would", "1")])
    assert [bench.ask().status for _ in range(3)] == [200] * 3
    assert [request.header("x-would") for request in bench.requests] == [None, None, "1"]
    assert bench.stats(STATS) == {"enabled": 3, "ok": 2, "rate_limited": 1}


def test_off_unless_enabled() -> None:
    bench = limited(filter_enabled=None)
    assert [bench.ask().status for _ in range(3)] == [200] * 3 and bench.stats(STATS) == {}


def test_grpc_may_be_told_that_resources_are_exhausted() -> None:
    for field, status in ((True, "8"), (False, "14")):
        bench = limited(rate_limited_as_resource_exhausted=field)
        answers = [bench.ask(headers=[("content-type", "application/grpc")]) for _ in range(3)]
        assert answers[2].header("grpc-status") == status


def test_each_connection_has_its_own_bucket() -> None:
    bench = limited(local_rate_limit_per_downstream_connection=True)
    # The bench opens a connection for each request.
    assert [bench.ask().status for _ in range(4)] == [200] * 4


def test_routes_have_their_own() -> None:
    own = {"rl": config(token_bucket={"max_tokens": 1, "fill_interval": "1000s"}, stat_prefix="route")}
    routes = [
        {"match": {"prefix": "/limited"}, "route": {"cluster": "c"}, "typed_per_filter_config": own},
        {"match": {"prefix": "/"}, "route": {"cluster": "c"}},
    ]
    bench = Bench([{"name": "rl", "typed_config": {"@type": TYPE, "stat_prefix": "rl"}}], routes=routes)
    assert [bench.ask(path="/limited").status for _ in range(2)] == [200, 429]
    assert [bench.ask(path="/").status for _ in range(2)] == [200, 200]
    assert bench.stats("route.http_local_rate_limit")["enforced"] == 1


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"token_bucket": {"max_tokens": 1, "fill_interval": "0.01s"}}, ">= 50ms"),
        ({"token_bucket": BUCKET, "descriptors": [{"entries": [{"key": "a"}], "token_bucket": BUCKET}]},
         "descriptors: not supported yet"),
    ],
)  # fmt: skip
def test_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Bench([{"name": "rl", "typed_config": config(**fields)}])


def test_a_route_needs_a_bucket() -> None:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": {"rl": config()}}
    with pytest.raises(ConfigError, match="token bucket must be set for per filter configs"):
        Bench([{"name": "rl", "typed_config": config()}], routes=[route])
