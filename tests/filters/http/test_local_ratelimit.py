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


ONE = {"max_tokens": 1, "fill_interval": "1000s"}
BY_CLIENT = {"actions": [{"request_headers": {"header_name": "X-Client", "descriptor_key": "client"}}]}


def descriptor(tokens: dict[str, Any] = ONE, **entries: str) -> dict[str, Any]:
    return {"entries": [{"key": key, "value": value} for key, value in entries.items()], "token_bucket": tokens}


def by_descriptor(*patterns: dict[str, Any], limits: Any = (BY_CLIENT,), **fields: Any) -> Bench:
    bucket = {"max_tokens": 100, "fill_interval": "1000s"}
    own = config(token_bucket=bucket, descriptors=list(patterns), rate_limits=list(limits), **fields)
    return Bench([{"name": "rl", "typed_config": own}])


def statuses(bench: Bench, *clients: str) -> list[int]:
    return [bench.ask(headers=[("x-client", client)] if client else []).status for client in clients]


def test_descriptors_have_buckets() -> None:
    bench = by_descriptor(descriptor(client="a"))
    assert statuses(bench, "a", "a", "b", "b", "") == [200, 429, 200, 200, 200]


def test_an_entry_without_value_stands_for_all() -> None:
    bench = by_descriptor(descriptor(client=""), max_dynamic_descriptors=2)
    assert statuses(bench, "a", "a", "b", "b") == [200, 429, 200, 429]
    # A third client takes the place of the first, whose bucket is new when it comes again.
    assert statuses(bench, "c", "b", "a") == [200, 429, 200]


def test_routes_and_hosts_make_descriptors() -> None:
    def key(text: str) -> dict[str, Any]:
        return {"actions": [{"generic_key": {"descriptor_value": text}}]}

    own = config(
        token_bucket={"max_tokens": 100, "fill_interval": "1000s"},
        descriptors=[descriptor(generic_key="route"), descriptor(generic_key="host")],
    )
    routes = [
        {"match": {"path": "/own"}, "route": {"cluster": "c", "rate_limits": [key("route")]}},
        {"match": {"path": "/both"}, "route": {
            "cluster": "c", "rate_limits": [key("other")], "include_vh_rate_limits": True}},
        {"match": {"prefix": "/"}, "route": {"cluster": "c"}},
    ]  # fmt: skip
    bench = Bench([{"name": "rl", "typed_config": own}], routes=routes, host={"rate_limits": [key("host")]})
    assert [bench.ask(path=path).status for path in ("/own", "/own", "/", "/", "/both")] == [200, 429, 200, 429, 429]


@pytest.mark.parametrize(
    "action, entry",
    [
        ({"source_cluster": {}}, {"source_cluster": ""}),
        ({"destination_cluster": {}}, {"destination_cluster": "upstream"}),
        ({"remote_address": {}}, {"remote_address": "127.0.0.1"}),
        ({"masked_remote_address": {"v4_prefix_mask_len": 8}}, {"masked_remote_address": "127.0.0.0/8"}),
        ({"query_parameters": {"query_parameter_name": "q", "descriptor_key": "k"}}, {"k": "1"}),
        ({"header_value_match": {"descriptor_value": "v", "headers": [{"name": "x-client", "present_match": True}]}},
         {"header_match": "v"}),
        ({"query_parameter_value_match": {"descriptor_value": "v", "query_parameters": [{"name": "q"}]}},
         {"query_match": "v"}),
        ({"metadata": {"descriptor_key": "k", "metadata_key": {"key": "n", "path": [{"key": "a"}]},
                       "default_value": "d"}}, {"k": "d"}),
        ({"remote_address_match": {"descriptor_value": "%REQ(x-client)%", "address_matcher": {
            "ranges": [{"address_prefix": "127.0.0.0", "prefix_len": 8}]}}}, {"remote_address_match": "a"}),
        ({"remote_address_match": {"descriptor_value": "%REQ(x-none)%", "default_value": "d", "address_matcher": {
            "ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}], "invert_match": True}}},
         {"remote_address_match": "d"}),
    ],
)  # fmt: skip
def test_actions(action: dict[str, Any], entry: dict[str, str]) -> None:
    bench = by_descriptor(descriptor(**entry), limits=[{"actions": [action]}])
    assert [bench.ask(path="/?q=1", headers=[("x-client", "a")]).status for _ in range(2)] == [200, 429]


def test_a_missing_value_drops_the_descriptor_or_is_skipped() -> None:
    generic = {"generic_key": {"descriptor_key": "g", "descriptor_value": "v"}}
    for skip, expected in ((False, [200, 200]), (True, [200, 429])):
        header = {"header_name": "x-none", "descriptor_key": "n", "skip_if_absent": skip}
        bench = by_descriptor(descriptor(g="v"), limits=[{"actions": [generic, {"request_headers": header}]}])
        assert [bench.ask().status for _ in range(2)] == expected


@pytest.mark.parametrize(
    "hits, expected",
    [
        ({"number": 2}, [200, 429]),
        ({"number": 0}, [429, 429]),
        ({"format": "%REQ(x-hits)%"}, [200, 200]),
        ({"format": "%RESPONSE_CODE%"}, [429, 429]),
    ],
)
def test_hits(hits: dict[str, Any], expected: list[int]) -> None:
    """Of three tokens. A format that gives no number leaves the bucket alone; who takes nothing gets nothing."""
    bucket = {"max_tokens": 3, "fill_interval": "1000s"}
    limits = [{"actions": [{"generic_key": {"descriptor_key": "g", "descriptor_value": "v"}}], "hits_addend": hits}]
    bench = by_descriptor({**descriptor(g="v"), "token_bucket": bucket}, limits=limits)
    assert [bench.ask().status for _ in range(2)] == expected


ANY = {"actions": [{"generic_key": {"descriptor_value": "v"}}]}


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"token_bucket": {"max_tokens": 1, "fill_interval": "0.01s"}}, ">= 50ms"),
        ({"token_bucket": BUCKET, "descriptors": [descriptor(a="1"), descriptor(a="1")]}, "duplicate descriptor"),
        ({"token_bucket": BUCKET, "local_cluster_rate_limit": {}}, "no local cluster name is present"),
        (
            {"local_cluster_rate_limit": {}, "local_rate_limit_per_downstream_connection": True},
            "local_rate_limit_per_downstream_connection is set to true",
        ),
        ({"rate_limits": [{**ANY, "stage": 1}]}, "'stage' field and 'disable_key' field are not supported"),
        ({"rate_limits": [{**ANY, "hits_addend": {}}]}, "either a format or a number"),
        ({"rate_limits": [{**ANY, "hits_addend": {"number": 1, "format": "%METHOD%"}}]}, "either a format or a number"),
        ({"rate_limits": [{**ANY, "hits_addend": {"format": "a%PROTOCOL%"}}]}, "exactly one substitution"),
    ],
)
def test_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Bench([{"name": "rl", "typed_config": config(**fields)}])


def test_a_route_needs_a_bucket() -> None:
    route = {"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": {"rl": config()}}
    with pytest.raises(ConfigError, match="token bucket must be set for per filter configs"):
        Bench([{"name": "rl", "typed_config": config()}], routes=[route])
