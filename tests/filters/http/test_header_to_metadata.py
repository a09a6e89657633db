"""The header_to_metadata filter."""

import base64
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Value

from meshproxy.config.errors import ConfigError
from meshproxy.http.headers import Pair
from meshproxy.testing import Answer, Bench

TYPE = "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config"


def filters(*rules: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    return [{"name": "h2m", "typed_config": {"@type": TYPE, "request_rules": list(rules), **fields}}]


def rule(header: str = "x", **fields: Any) -> dict[str, Any]:
    return {"header": header, **fields}


def to(key: str = "k", **fields: Any) -> dict[str, Any]:
    return {"metadata_namespace": "ns", "key": key, **fields}


def metadata(bench: Bench, *headers: Pair) -> Any:
    bench.ask(headers=headers)
    return (bench.streams[-1].metadata or {}).get("ns")


def test_present_missing_and_removed() -> None:
    bench = Bench(filters(rule(on_header_present=to(), on_header_missing=to(value="none"), remove=True)))
    assert metadata(bench, ("X", "1"), ("x", "2")) == {"k": "1,2"}
    assert bench.requests[0].header("x") is None
    assert metadata(bench) == {"k": "none"}


def test_a_fixed_value_replaces_the_header() -> None:
    assert metadata(Bench(filters(rule(on_header_present=to(value="yes")))), ("x", "1")) == {"k": "yes"}


@pytest.mark.parametrize(
    "cookie, value", [("s=1; k=abc", "abc"), ('k="q"', "q"), ("k=", None), ("kk=1", None), ("a=1;k=2;k=3", "2")]
)
def test_cookies(cookie: str, value: str | None) -> None:
    bench = Bench(filters({"cookie": "k", "on_header_present": to(), "on_header_missing": to("none", value="1")}))
    assert metadata(bench, ("cookie", cookie)) == ({"k": value} if value else {"none": "1"})


@pytest.mark.parametrize(
    "text, number",
    [
        ("42", 42),
        (" 1.5 ", 1.5),
        ("1e3", 1000),
        ("-7", -7),
        ("many", None),
        ("1_0", None),
        ("\xb2", None),
        ("0x10", 16),
        ("1e999", None),
        ("0x1p99999", None),
    ],
)
def test_numbers(text: str, number: float | None) -> None:
    found = metadata(Bench(filters(rule(on_header_present=to(type="NUMBER")))), ("x", text))
    assert found == (None if number is None else {"k": number})


def test_base64_and_protobuf_values() -> None:
    stats = {"stat_prefix": "s"}
    bench = Bench(filters(rule(on_header_present=to(encode="BASE64")), **stats))
    assert metadata(bench, ("x", base64.b64encode(b"text").decode().rstrip("="))) == {"k": "text"}
    assert metadata(bench, ("x", "!!")) is None
    value = Value()
    value.list_value.extend([1.0, "a", True])
    bench = Bench(filters(rule(on_header_present=to(encode="BASE64", type="PROTOBUF_VALUE"))))
    assert metadata(bench, ("x", base64.b64encode(value.SerializeToString()).decode())) == {"k": [1, "a", True]}
    assert metadata(bench, ("x", base64.b64encode(b"\xff").decode())) is None


def test_rewrites() -> None:
    rewrite = {"pattern": {"regex": "^/([^/]+).*"}, "substitution": "\\1"}
    bench = Bench(filters(rule(":path", on_header_present=to(regex_value_rewrite=rewrite))))
    bench.ask(path="/one/two")
    assert bench.streams[0].metadata == {"ns": {"k": "one"}}


def test_responses_and_stats() -> None:
    rules = {"response_rules": [rule("x-up", on_header_present=to(), on_header_missing=to(value="-"))]}
    bench = Bench(filters(stat_prefix="s", **rules), answer=Answer(headers=[("x-up", "v")]))
    assert metadata(bench) == {"k": "v"}
    bench.answer = Answer()
    assert metadata(bench) == {"k": "-"}
    assert bench.stats("http.bench.http_filter_name.s") == {
        "response_header_not_found": 1, "response_metadata_added": 2, "response_rules_processed": 2,
    }  # fmt: skip


def test_a_value_that_is_too_long() -> None:
    assert metadata(Bench(filters(rule(on_header_present=to()))), ("x", "a" * 8192)) is None


def test_routes_replace_the_rules() -> None:
    config = {"@type": TYPE, "request_rules": [rule("y", on_header_present=to("route"))]}
    route = {"match": {"prefix": "/"}, "route": {"cluster": "c"}, "typed_per_filter_config": {"h2m": config}}
    bench = Bench(filters(rule(on_header_present=to())), routes=[route])
    assert metadata(bench, ("x", "1"), ("y", "2")) == {"route": "2"}


@pytest.mark.parametrize(
    "bad, reason",
    [
        ({"on_header_present": to()}, "One of Cookie or Header"),
        ({"header": "a", "cookie": "b", "on_header_present": to()}, "Cannot specify both"),
        ({"cookie": "b", "remove": True, "on_header_present": to()}, "Cannot specify remove for cookie"),
        ({"header": "a"}, "neither"),
        ({"header": "a", "on_header_missing": to()}, "empty value"),
    ],
)
def test_refused_rules(bad: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Bench(filters(bad))
