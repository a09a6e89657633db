"""What an HTTP manager adds to responses because its configuration asks for it, in Envoy's order."""

from collections.abc import Callable

from meshproxy.http.headers import ResponseHeaders
from meshproxy.http.request_steps import add_via
from meshproxy.http.stream import Stream

ResponseStep = Callable[[Stream, ResponseHeaders], None]


def return_request_id(stream: Stream, headers: ResponseHeaders) -> None:
    """always_set_request_id_in_response."""
    request_id = stream.request.get("x-request-id")
    if request_id:
        headers.set("x-request-id", request_id)


def append_via(via: str) -> ResponseStep:
    """Our name in the list of those that forwarded the response."""

    def step(stream: Stream, headers: ResponseHeaders) -> None:
        add_via(headers, via)

    return step
