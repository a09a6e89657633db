"""Answers from the configuration."""

from pathlib import Path

import pytest

from meshproxy.config.errors import ConfigError
from tests.routing.tables import answer, routes, stream


def direct(fields: str, **table: str) -> tuple[int, bytes, list[tuple[str, str]]]:
    reply = answer(routes(f"{{match: {{prefix: /}}, direct_response: {{{fields}}}}}", **table), stream("/p?q"))
    return reply.status, reply.body, reply.headers


def test_bodies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "body").write_bytes(b"\0file")
    monkeypatch.setenv("ANSWER", "from the environment")
    assert direct("status: 200, body: {inline_string: \u00e9}") == (200, "\u00e9".encode(), [])
    assert direct("status: 200, body: {inline_bytes: AAEC}") == (200, b"\0\1\2", [])
    assert direct(f"status: 200, body: {{filename: {tmp_path / 'body'}}}") == (200, b"\0file", [])
    assert direct("status: 200, body: {environment_variable: ANSWER}") == (200, b"from the environment", [])
    assert direct("status: 503") == (503, b"", [])


def test_formats_see_the_body_and_the_request() -> None:
    source = "{inline_string: '[%LOCAL_REPLY_BODY%] %REQ(:PATH)%'}"
    text = f"body_format: {{text_format_source: {source}, content_type: text/x}}"
    body = "body: {inline_string: x}"
    assert direct(f"status: 200, {body}, {text}") == (200, b"[x] /p?q", [("content-type", "text/x")])
    json = "body_format: {json_format: {a: '%REQ(:PATH)%'}}"
    assert direct(f"status: 200, {json}") == (200, b'{"a":"/p?q"}\n', [("content-type", "application/json")])


def test_a_status_that_calls_for_a_location_gets_that_of_the_request() -> None:
    assert direct("status: 304") == (304, b"", [("location", "http://a/p?q")])
    assert direct("status: 201") == (201, b"", [("location", "http://a/p?q")])


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        (f"inline_string: {'x' * 4097}", "inline_string", "response body size is 4097 bytes; maximum is 4096"),
        ("filename: /nowhere/at/all", "filename", "file /nowhere/at/all does not exist"),
        ("environment_variable: NOT_SET", "environment_variable", "Environment variable doesn't exist: NOT_SET"),
    ],
)
def test_refused(body: str, path: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        direct(f"status: 200, body: {{{body}}}")
    assert str(caught.value) == f"virtual_hosts['v'].routes[0].direct_response.body.{path}: {reason}"


def test_longer_bodies_where_allowed() -> None:
    body = f"status: 200, body: {{inline_string: {'x' * 5000}}}"
    assert len(direct(body, max_direct_response_body_size_bytes="5000")[1]) == 5000
