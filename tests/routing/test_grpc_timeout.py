"""The time that gRPC callers give."""

import pytest

from meshproxy.http.headers import RequestHeaders
from meshproxy.routing.grpc_timeout import GrpcTimeout, MaxDuration, read_grpc_timeout, write_grpc_timeout
from tests.routing.tables import stream


def request(timeout: str | None = None, grpc: bool = True) -> RequestHeaders:
    headers = [("content-type", "application/grpc")] if grpc else []
    return stream(headers=headers if timeout is None else [*headers, ("grpc-timeout", timeout)]).request


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1H", 3600),
        ("2M", 120),
        ("3S", 3),
        ("4m", 0.004),
        ("5u", 0.001),
        ("1500u", 0.002),
        ("1n", 0.001),
        ("99999999m", 99999.999),
        ("0S", 0),
        *[(text, None) for text in ("", "S", "1", "1s", "-1S", "1_0S", "\xb2S", "123456789S", None)],
    ],
)
def test_read(text: str | None, seconds: float | None) -> None:
    assert read_grpc_timeout(request(text)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(7, "7000m"), (0.4, "400m"), (99999.999, "99999999m"), (100_000, "100000S"), (10**9, "16666666M")],
)
def test_write(seconds: float, text: str) -> None:
    asking = request("1H")
    write_grpc_timeout(asking, seconds)
    assert asking.get_all("grpc-timeout") == [text]


@pytest.mark.parametrize(
    ("longest", "offset", "asked", "expected"),
    [
        (7, 0.5, "20S", 7),
        (7, 0.5, "2S", 1.5),
        (7, 0.5, None, 7),
        (7, 0.5, "400m", 0.4),
        (0, 0, "20S", 20),
        (0, 0, None, 0),
    ],
)
def test_timeout_of_the_route(longest: float, offset: float, asked: str | None, expected: float) -> None:
    assert GrpcTimeout(longest, offset).of(request(asked)) == expected
    assert GrpcTimeout(longest, offset).of(request(asked, grpc=False)) is None


@pytest.mark.parametrize(
    ("limit", "asked", "seconds", "told"),
    [
        (MaxDuration(5), "2S", 5, "2S"),
        (MaxDuration(5, 7), None, 5, None),
        (MaxDuration(5, 7), "20S", 7, "7000m"),
        (MaxDuration(None, 0), "20S", 20, "20000m"),
        (MaxDuration(None, 7, 0.5), "2S", 1.5, "1500m"),
        (MaxDuration(None, 7, 3), "2S", 2, "2000m"),
        (MaxDuration(None, 7), None, None, None),
        (MaxDuration(0), "2S", 0, "2S"),
    ],
)
def test_longest_stream(limit: MaxDuration, asked: str | None, seconds: float | None, told: str | None) -> None:
    asking = request(asked)
    assert limit.of(asking) == seconds
    assert asking.get("grpc-timeout") == told
    assert MaxDuration(5, 7).of(request("20S", grpc=False)) == 5
