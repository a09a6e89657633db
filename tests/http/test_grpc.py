"""How gRPC requests are told, and how messages are written."""

import pytest

from meshproxy.http.grpc import encode_message, is_grpc
from meshproxy.http.headers import Headers


@pytest.mark.parametrize(
    "content_type, grpc",
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("application/grpc-web", False),
        ("text/plain", False),
    ],
)
def test_by_content_type(content_type: str, grpc: bool) -> None:
    assert is_grpc(Headers([("content-type", content_type)])) is grpc
    assert not is_grpc(Headers())


def test_messages_are_percent_encoded() -> None:
    assert encode_message("plain words") == "plain words"
    assert encode_message("so\nrry% \xc3\xa9") == "so%0Arry%25 %C3%A9"
