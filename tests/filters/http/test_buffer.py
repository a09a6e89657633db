"""The buffer filter."""

from typing import Any

from meshproxy.testing import Bench

TYPE = "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.Buffer"


def filters(limit: int) -> list[dict[str, Any]]:
    return [{"name": "buffer", "typed_config": {"@type": TYPE, "max_request_bytes": limit}}]


def test_a_whole_body_goes_on_with_its_length() -> None:
    bench = Bench(filters(10))
    assert bench.ask("POST", body=[b"12", b"34", b"56"]).status == 200
    (request,) = bench.requests
    assert (request.body, request.header("content-length")) == (b"123456", "6")


def test_a_counted_body_and_none() -> None:
    bench = Bench(filters(10))
    bench.ask("POST", body=b"1234567890")
    bench.ask()
    assert [(each.body, each.header("content-length")) for each in bench.requests] == [
        (b"1234567890", "10"),
        (b"", None),
    ]


def test_too_much_is_refused() -> None:
    for body in (b"12345678901", [b"123456", b"78901"], [b"12345678901", b"2"]):
        bench = Bench(filters(10))
        answer = bench.ask("POST", body=body)
        assert (answer.status, answer.body, answer.header("connection")) == (413, b"Payload Too Large", "close")
        assert (bench.requests, bench.streams[0].details) == ([], "request_payload_too_large")
        assert bench.stats("http.bench")["downstream_rq_too_large"] == 1


def test_routes_change_the_limit() -> None:
    def route(prefix: str, **override: Any) -> dict[str, Any]:
        config = {"buffer": {"@type": f"{TYPE}PerRoute", **override}}
        return {"match": {"prefix": prefix}, "route": {"cluster": "c"}, "typed_per_filter_config": config}

    bench = Bench(filters(2), routes=[route("/off", disabled=True), route("/", buffer={"max_request_bytes": 5})])
    assert bench.ask("POST", "/off", body=[b"123", b"456"]).status == 200
    assert bench.requests[0].header("content-length") is None
    assert bench.ask("POST", "/", body=[b"123", b"45"]).status == 200
    assert bench.ask("POST", "/", body=[b"123", b"456"]).status == 413
