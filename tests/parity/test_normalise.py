"""What is masked, and what is not."""

import pytest

from .normalise import Names, normalise

NAMES = Names("s007x", {41234: "in", 8080: "origin"}, "/run/folder", "date: Sun, 06 Nov 1994 08:49:37 GMT")


@pytest.mark.parametrize(
    ("seen", "normal"),
    [
        ("cluster.s007xorigin.upstream", "cluster.origin.upstream"),
        ("127.0.0.1:41234", "127.0.0.1:<port in>"),
        ("127.0.0.1:41235", "127.0.0.1:41235"),
        ("content-length: 8080", "content-length: 8080"),
        ("/run/folder/x.sock", "<dir>/x.sock"),
        ("date: Sat, 21 Nov 2026 05:13:00 GMT", "date: <date>"),
        ("date: Sun, 06 Nov 1994 08:49:37 GMT", "date: Sun, 06 Nov 1994 08:49:37 GMT"),
        ("date: Sat 21 Nov 2026", "date: Sat 21 Nov 2026"),
        ("X-Envoy-Upstream-Service-Time: 12", "X-Envoy-Upstream-Service-Time: <ms>"),
        ("x-envoy-upstream-service-time: -", "x-envoy-upstream-service-time: -"),
        ("x-request-id: 01234567-89ab-4cde-8123-456789abcdef", "x-request-id: <uuid 4>"),
        ("x-request-id: 01234567-89ab-9cde-8123-456789abcdef", "x-request-id: <uuid 9>"),
        ("x-request-id: 01234567-89ab-4cde-0123-456789abcdef", "x-request-id: <uuid 4 of variant 0>"),
    ],
)
def test_strings(seen: str, normal: str) -> None:
    assert normalise([seen], NAMES) == [normal]


def test_masked_headers_keep_their_name_and_place() -> None:
    seen = {"headers": ["a: 1", "X-B: 2"], "body": "x-b: 2"}
    assert normalise(seen, NAMES, ["x-b"]) == {"headers": ["a: 1", "X-B: <masked>"], "body": "x-b: 2"}


def test_masked_fields() -> None:
    assert normalise([{"upstream": "a", "code": 200}], NAMES, ["upstream"]) == [{"upstream": "<masked>", "code": 200}]
