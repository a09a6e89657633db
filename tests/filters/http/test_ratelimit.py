"""The ratelimit filter: what scenarios cannot reach. The service is grpcio's."""

from typing import Any

import pytest

from meshproxy.api import message_class
from meshproxy.filters.http.ratelimit_headers import left_headers, retry_after
from meshproxy.filters.ratelimit_service import RateLimitService, ServiceError, Status, add
from tests.examples.running import EXAMPLES, read, running
from tests.upstream.fakes import on_loop

RESPONSE = message_class("envoy.service.ratelimit.v3.RateLimitResponse")


class Said:
    """In place of a GrpcClient: what a service says."""

    def __init__(self, message: bytes) -> None:
        self.message = message

    async def unary(self, _path: str, _message: bytes) -> bytes:
        return self.message


def service(message: bytes) -> RateLimitService:
    said: Any = Said(message)
    return RateLimitService(said)


def test_bytes_that_are_no_text_do_not_open_the_limit() -> None:
    """A service that cannot read its question answers with an error, which lets requests pass."""
    with running(read(EXAMPLES / "rate-limits.yaml"), "meshproxy") as proxied:
        ask = r"curl -s -o /dev/null -w '%{http_code} ' -H $'x-user: \xff\xfe' 127.0.0.1:10000/"
        assert [proxied.run(ask) for _ in range(5)] == ["200 ", "200 ", "200 ", "429 ", "429 "]
        text = r"curl -s -o /dev/null -w '%{http_code} ' -H $'x-user: \xc3\xbc' 127.0.0.1:10000/"
        assert [proxied.run(text) for _ in range(4)] == ["200 ", "200 ", "200 ", "429 "]
        assert "cluster.service.ratelimit.over_limit: 3" in proxied.run("curl -s 127.0.0.1:9901/stats")
        assert "ratelimit.error" not in proxied.run("curl -s 127.0.0.1:9901/stats")


@pytest.mark.parametrize(
    ("name", "value"), [("x-a", "1\r\nx-b: 2"), ("x-a", "\0"), ("x a", "1"), ("", "1"), (":status", "200"), ("é", "1")]
)
@on_loop
async def test_headers_that_are_none_are_no_answer(name: str, value: str) -> None:
    for field in ("response_headers_to_add", "request_headers_to_add"):
        response = RESPONSE(overall_code=2)
        getattr(response, field).add(key=name, value=value)
        asked = service(response.SerializeToString())
        with pytest.raises(ServiceError, match="no header"):
            await asked.ask(asked.question("d"))


@on_loop
async def test_a_name_that_would_end_its_header_is_no_answer() -> None:
    response = RESPONSE(overall_code=1)
    response.statuses.add(code=1).current_limit.name = "a\r\nx-b: c"
    asked = service(response.SerializeToString())
    with pytest.raises(ServiceError, match="no name"):
        await asked.ask(asked.question("d"))


@on_loop
async def test_what_an_answer_says() -> None:
    response = RESPONSE(overall_code=2, raw_body=b"\xff")
    response.statuses.add(code=2).current_limit.requests_per_unit = 3
    response.response_headers_to_add.add(key="X-A", value="ü")
    response.dynamic_metadata.update({"a": {"b": ["ü", 1.5, None, True]}})
    asked = service(response.SerializeToString())
    question = asked.question("d", 4)
    add(question, (("k", "\xff"),), hits=2, negative=True)
    answer = await asked.ask(question)
    assert question.descriptors[0].entries[0].value == "!" and question.hits_addend == 4
    assert answer.over and answer.body == b"\xff" and answer.response_headers == [("x-a", "\xc3\xbc")]
    assert answer.metadata == {"a": {"b": ["\xc3\xbc", 1.5, None, True]}}
    assert answer.statuses == [Status(True, True, 3, 0, "", 0, 0)]


def test_what_is_left_is_told_of_the_tightest_limit() -> None:
    one = Status(False, True, 10, 60, "", 9, 50)
    two = Status(True, True, 5, 0, "n", 4, 7)
    nothing = Status(True, False, 0, 0, "", 0, 3)
    assert left_headers([one, two, nothing], [True] * 3)[0] == ("x-ratelimit-limit", "5, 10;w=60")
    assert left_headers([one, two], [True, False]) == [] == left_headers([nothing], [True])
    assert retry_after([one, two, nothing]) == 7 and retry_after([one]) is None
