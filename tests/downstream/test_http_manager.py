"""What an HTTP manager adds to responses, counts, admits and refuses."""

from typing import Any

import pytest

from meshproxy.config.errors import ConfigError
from meshproxy.downstream.drain import always
from meshproxy.http.stream import Stream
from meshproxy.testing import Answer, Bench

FORWARD = {"cluster": "upstream"}


def headers(bench: Bench, **asked: Any) -> list[tuple[str, str]]:
    return [(name, "<date>" if name == "date" else value) for name, value in bench.ask(**asked).headers]


def test_every_response_gets_date_and_server() -> None:
    assert headers(Bench()) == [("content-length", "8"), ("date", "<date>"), ("server", "envoy")]


@pytest.mark.parametrize(
    "mode, absent, present", [("OVERWRITE", "me", "me"), ("APPEND_IF_ABSENT", "me", "up"), ("PASS_THROUGH", None, "up")]
)
def test_server_header_modes(mode: str, absent: str | None, present: str) -> None:
    manager = {"server_name": "me", "server_header_transformation": mode}
    assert Bench(manager=manager).ask().header("server") == absent
    upstream = Answer(headers=[("server", "up"), ("x", "1")])
    answer = Bench(manager=manager, answer=upstream).ask()
    assert answer.headers[0] == ("server", present)


def test_via_and_request_id_in_responses() -> None:
    manager = {"via": "ev", "always_set_request_id_in_response": True}
    bench = Bench(manager=manager, answer=Answer(headers=[("via", "x"), ("date", "then")], body=b""))
    assert headers(bench, headers=[("x-request-id", "abc")]) == [
        ("via", "x, ev"), ("date", "<date>"), ("content-length", "0"), ("server", "envoy"), ("x-request-id", "abc"),
    ]  # fmt: skip


def test_requests_are_counted_by_class() -> None:
    bench = Bench()
    for status in (200, 204, 301, 404, 503, 600):
        bench.answer = Answer(status, body=b"")
        bench.ask()
    counted = bench.stats("http.bench")
    assert {name[14:]: counted[name] for name in counted if name.startswith("downstream_rq_")} == {
        "2xx": 2, "3xx": 1, "4xx": 1, "5xx": 1, "completed": 6, "http1_total": 6, "total": 6,
    }  # fmt: skip
    assert bench.stats("http.bench")["downstream_rq_2xx"] == 2
    assert bench.http.stats.downstream_rq_active == bench.http.stats.downstream_cx_active == 0


def test_an_answer_before_the_request_is_over() -> None:
    bench = Bench(routes=[{"match": {"prefix": "/"}, "direct_response": {"status": 200}}])
    answer = bench.ask("POST", body=[b"a", b"b"])
    assert answer.header("connection") == "close"
    counted = bench.stats("http.bench")
    assert counted["downstream_rq_response_before_rq_complete"] == counted["downstream_rq_rx_reset"] == 1


def test_requests_per_connection() -> None:
    bench = Bench(manager={"common_http_protocol_options": {"max_requests_per_connection": 1}})
    assert bench.ask().header("connection") == "close"
    assert bench.stats("http.bench")["downstream_cx_max_requests_reached"] == 1


def test_draining() -> None:
    bench = Bench()
    assert bench.ask().header("connection") is None
    bench.http.drain_close = always
    assert bench.ask().header("connection") == "close"
    assert bench.stats("http.bench")["downstream_cx_drain_close"] == 1


def upgrade(bench: Bench, path: str = "/", kind: str = "WebSocket") -> int:
    return bench.ask(path=path, headers=[("connection", "Upgrade"), ("upgrade", kind)]).status


def test_upgrades_are_refused_unless_allowed() -> None:
    bench = Bench()
    assert upgrade(bench) == 403
    assert bench.streams[0].details == "upgrade_failed"
    assert bench.stats("http.bench")["downstream_rq_ws_on_non_ws_route"] == 1
    assert upgrade(Bench(routes=[])) == 404


def test_routes_say_the_last_word_on_upgrades() -> None:
    kinds = [{"upgrade_type": "websocket"}]
    off = [{"upgrade_type": "websocket", "enabled": False}]
    bench = Bench(
        routes=[
            {"match": {"prefix": "/off"}, "route": {**FORWARD, "upgrade_configs": off}},
            {"match": {"prefix": "/"}, "route": FORWARD},
        ],
        manager={"upgrade_configs": kinds},
    )
    assert upgrade(bench, "/off") == 403
    assert upgrade(bench, kind="other") == 403
    bench = Bench(routes=[{"match": {"prefix": "/"}, "route": {**FORWARD, "upgrade_configs": kinds}}])
    bench.answer = Answer(101, [("connection", "upgrade"), ("upgrade", "websocket")], b"")
    assert upgrade(bench) == 101
    assert bench.requests[0].header("upgrade") == "WebSocket"
    assert bench.stats("http.bench")["downstream_cx_upgrades_total"] == 1


def test_upgrades_may_have_filters_of_their_own() -> None:
    router = {"name": "r", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}  # fmt: skip
    marked = mutation("x-upgrade")
    bench = Bench(
        [mutation("x-plain")], manager={"upgrade_configs": [{"upgrade_type": "websocket", "filters": [marked, router]}]}
    )
    bench.answer = Answer(101, [("connection", "upgrade"), ("upgrade", "websocket")], b"")
    upgrade(bench)
    assert bench.requests[0].header("x-upgrade") == "1" and bench.requests[0].header("x-plain") is None


def mutation(name: str) -> dict[str, Any]:
    append = [{"append": {"header": {"key": name, "value": "1"}}}]
    return {"name": name, "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        "mutations": {"request_mutations": append, "response_mutations": append}}}  # fmt: skip


def test_filters_see_answers_given_before_there_is_a_route() -> None:
    bench = Bench([mutation("x-seen")])
    assert bench.ask(path="/#").header("x-seen") == "1"


def test_a_request_may_be_logged_when_it_begins() -> None:
    bench = Bench(manager={"access_log_options": {"flush_access_log_on_new_request": True}})
    codes: list[int | None] = []
    keep = bench.http.log

    def log(stream: Stream) -> None:
        codes.append(stream.response.status if stream.response else None)
        assert keep is not None
        keep(stream)

    bench.http.log = log
    bench.ask()
    assert codes == [None, 200]


REFUSED = [
    ({"rds": {"route_config_name": "r", "config_source": {"ads": {}}}, "route_config": None}, "rds"),
    ({"codec_type": "HTTP3"}, "HTTP3 is not supported"),
    ({"upgrade_configs": [{"upgrade_type": "a"}, {"upgrade_type": "A"}]}, "multiple upgrade configs"),
    ({"use_remote_address": True, "original_ip_detection_extensions": [{"name": "x", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"}}]},
     "cannot be set together with use_remote_address"),
]  # fmt: skip


@pytest.mark.parametrize("manager, reason", REFUSED)
def test_what_is_refused(manager: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Bench(manager=manager)
