"""How the proxy's own answers look, as Envoy 1.40 writes them."""

from typing import Any

from meshproxy.http.headers import Pair
from meshproxy.testing import Bench, Message

ROUTES = [
    {"match": {"path": f"/{status}"}, "direct_response": {"status": status, "body": {"inline_string": "sorry"}}}
    for status in (400, 503, 504)
] + [{"match": {"path": "/empty"}, "direct_response": {"status": 503}}]


def status_is(status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": "x"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def added(key: str, value: str, action: str = "APPEND_IF_EXISTS_OR_ADD") -> dict[str, Any]:
    return {"header": {"key": key, "value": value}, "append_action": action}


CONFIGURED = {
    "local_reply_config": {
        "mappers": [
            {
                "filter": status_is(503),
                "status_code": 510,
                "headers_to_add": [
                    added("x-l", "1"),
                    added("content-type", "text/foo", "OVERWRITE_IF_EXISTS_OR_ADD"),
                    added("x-b", "%RESPONSE_CODE%"),
                ],
            },
            {
                "filter": status_is(504),
                "body": {"inline_string": "new"},
                "body_format_override": {"json_format": {"b": "%LOCAL_REPLY_BODY%", "a": "%RESPONSE_CODE%"}},
            },
        ],
        "body_format": {
            "text_format_source": {"inline_string": "<%LOCAL_REPLY_BODY%|%RESPONSE_CODE%|%REQ(a)%>"},
            "content_type": "text/html",
        },
    }
}


def ask(path: str, *headers: Pair, method: str = "GET", manager: dict[str, Any] | None = None) -> Message:
    answer = Bench(routes=ROUTES, manager=manager or {}).ask(method, path, headers)
    answer.headers = [pair for pair in answer.headers if pair[0] != "date"]
    return answer


GRPC = ("content-type", "application/grpc")


def test_a_plain_answer() -> None:
    answer = ask("/503")
    assert (answer.status, answer.body) == (503, b"sorry")
    assert answer.headers == [("content-length", "5"), ("content-type", "text/plain"), ("server", "envoy")]


def test_head_gets_the_head_alone() -> None:
    answer = ask("/503", method="HEAD")
    assert answer.headers == [("content-length", "5"), ("content-type", "text/plain"), ("server", "envoy")]
    assert answer.body == b""


def test_an_empty_answer_has_no_type() -> None:
    assert ask("/empty").headers == [("server", "envoy"), ("content-length", "0")]


def test_a_bad_request_ends_the_connection() -> None:
    assert ("connection", "close") in ask("/400").headers
    lenient = {"http_protocol_options": {"override_stream_error_on_invalid_http_message": True}}
    assert ("connection", "close") not in ask("/400", manager=lenient).headers


def test_grpc_clients_get_their_own_form() -> None:
    answer = ask("/503", GRPC)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == [
        ("content-type", "application/grpc"), ("grpc-status", "14"), ("grpc-message", "sorry"), ("server", "envoy"),
        ("content-length", "0"),
    ]  # fmt: skip
    assert ask("/400", GRPC).header("grpc-status") == "13"


def test_mappers_rewrite_status_and_headers() -> None:
    answer = ask("/503", manager=CONFIGURED)
    assert (answer.status, answer.body) == (510, b"<sorry|510|->")
    assert answer.headers == [
        ("content-type", "text/foo"), ("x-l", "1"), ("x-b", "503"), ("content-length", "13"), ("server", "envoy"),
    ]  # fmt: skip


def test_mappers_rewrite_bodies() -> None:
    answer = ask("/504", manager=CONFIGURED)
    assert (answer.status, answer.body) == (504, b'{"a":504,"b":"new"}\n')
    assert answer.header("content-type") == "application/json"


def test_the_format_of_all_others() -> None:
    answer = ask("/400", ("a", "x"), manager=CONFIGURED)
    assert (answer.status, answer.body, answer.header("content-type")) == (400, b"<sorry|400|x>", "text/html")
    # An answer without body gets what the format makes of nothing.
    assert ask("/nowhere", manager=CONFIGURED).body == b"<|404|->"


def test_mappers_and_grpc() -> None:
    answer = ask("/503", GRPC, manager=CONFIGURED)
    assert (answer.status, answer.header("grpc-status"), answer.header("grpc-message")) == (200, "2", "<sorry|510|->")


def test_routes_edit_answers_of_their_own() -> None:
    routes = [{**route, "response_headers_to_add": [added("x-route", "r")]} for route in ROUTES]
    answer = Bench(routes=routes).ask(path="/503")
    assert answer.headers[0] == ("x-route", "r")
