"""Operators on the two heads of an exchange, and on what became of it."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote_to_bytes

from meshproxy.http.failures import grpc_status_of
from meshproxy.observe.flags import LONG_FLAGS
from meshproxy.observe.grpc_status import CAMEL_STATUS, SNAKE_STATUS
from meshproxy.observe.operators import (
    CODE,
    Exchange,
    Getter,
    Operator,
    Value,
    coded,
    counted,
    operator,
    plain,
    truncate,
)

if TYPE_CHECKING:
    from meshproxy.http.headers import Headers, RequestHeaders, ResponseHeaders


_HEADER_NAME = re.compile(r":?[-!#$%&'*+.^_`|~0-9A-Za-z]*")
# Escapes of control characters, and what looks like an escape and is none.
_CONTROL = re.compile(r"%([01][0-9a-fA-F]|7[fF])")
_NO_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})(?=..)")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")


def first_value(headers: "Headers", name: str) -> str | None:
    """The value of the first line with this name."""
    value = headers.get(name)
    if value is not None and "," in value:
        for key, line in headers.pairs:
            if key == name:
                return line
    return value


def _lower(name: str) -> str:
    return name.lower() if name.isascii() else name


def _names(argument: str) -> tuple[str, str | None]:
    """`name?alternative`."""
    names = argument.split("?")
    if len(names) > 2:
        raise ValueError(f"More than 1 alternative header specified in token: {argument}")
    for name in names:
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("Invalid header configuration. Format string contains invalid characters.")
    return _lower(names[0]), _lower(names[1]) if len(names) == 2 else None


# A value without a comma is that of one line, as nearly all are.
_FIRST = (
    "None if (at := headers) is None else found if (found := at.index.get(wanted)) is None or ',' not in found "
    "else first(at, wanted)"
)


def _or_else(first: Getter, second: Getter) -> Getter:
    if first in CODE and second in CODE and not CODE[second][1]:
        code, names = CODE[first]
        return coded(f"chosen if (chosen := ({code})) is not None else ({CODE[second][0]})", **names)

    def get(stream: Exchange) -> Value:
        value = first(stream)
        return second(stream) if value is None else value

    return get


# Getters of pseudo-headers; an empty one is one that is not there.
_PSEUDO: dict[str, Getter] = {
    ":method": coded("None if (at := stream.request) is None else at.method or None"),
    ":path": coded("None if (at := stream.request) is None else at.path or None"),
    ":authority": coded("at.authority if (at := stream.request) is not None and at.has_authority else None"),
    ":scheme": lambda stream: stream.request.scheme or None if stream.request is not None else None,
    ":protocol": lambda stream: stream.request.protocol if stream.request is not None else None,
}
_PSEUDO["host"] = _PSEUDO[":authority"]


def request_header(name: str) -> Getter:
    """The getter of one request header or pseudo-header, by its lower-case name."""
    known = _PSEUDO.get(name)
    if known is not None:
        return known

    return coded(_FIRST.replace("headers", "stream.request"), wanted=name, first=first_value)


def response_header(name: str) -> Getter:
    """The getter of one response header, by its lower-case name."""
    if name == ":status":
        return lambda stream: str(stream.response.status) if stream.response is not None else None

    return coded(_FIRST.replace("headers", "stream.response"), wanted=name, first=first_value)


def response_trailer(name: str) -> Getter:
    def get(stream: Exchange) -> str | None:
        trailers = stream.response_trailers
        return None if trailers is None else first_value(trailers, name)

    return get


@operator("REQ", "REQUEST_HEADER", argument="required", length=True)
def make_request_header(argument: str, length: int | None) -> Getter:
    name, alternative = _names(argument)
    get = request_header(name)
    return truncate(_or_else(get, request_header(alternative)) if alternative is not None else get, length)


@operator("RESP", "RESPONSE_HEADER", argument="required", length=True)
def make_response_header(argument: str, length: int | None) -> Getter:
    name, alternative = _names(argument)
    get = response_header(name)
    return truncate(_or_else(get, response_header(alternative)) if alternative is not None else get, length)


@operator("TRAILER", "RESPONSE_TRAILER", argument="required", length=True)
def make_response_trailer(argument: str, length: int | None) -> Getter:
    name, alternative = _names(argument)
    get = response_trailer(name)
    return truncate(_or_else(get, response_trailer(alternative)) if alternative is not None else get, length)


def make_without_query(argument: str, length: int | None) -> Getter:
    """REQ_WITHOUT_QUERY: a header, usually the path, without what follows a `?` in it."""
    get = make_request_header(argument, None)

    def without(stream: Exchange) -> Value:
        value = get(stream)
        return value.partition("?")[0] if isinstance(value, str) else value

    return truncate(without, length)


# What the extension envoy.formatter.req_without_query adds.
WITHOUT_QUERY: dict[str, Operator] = {"REQ_WITHOUT_QUERY": Operator(make_without_query, "required", length=True)}


def original_path(stream: Exchange) -> str | None:
    """The path as the client sent it, whatever a route made of it."""
    request = stream.request
    if request is None:
        return None
    return request.get("x-envoy-original-path") or request.path or None


def _current_path(stream: Exchange) -> str | None:
    return stream.request.path or None if stream.request is not None else None


_PATHS = {"ORIG_OR_PATH": original_path, "PATH": _current_path, "ORIG": request_header("x-envoy-original-path")}


@operator("PATH", argument="optional", length=True)
def path(argument: str, length: int | None) -> Getter:
    """`WQ` or `NQ` (with or without the query), then `:ORIG`, `:PATH` or `:ORIG_OR_PATH`."""
    query, which, *_ = (*argument.split(":"), "")
    if query not in ("", "WQ", "NQ"):
        raise ValueError(f"Invalid PATH option: '{query}', only 'WQ'/'NQ' are allowed")
    if (which or "ORIG_OR_PATH") not in _PATHS:
        raise ValueError(f"Invalid PATH option: '{which}', only 'ORIG'/'PATH'/'ORIG_OR_PATH' are allowed")
    get = _PATHS[which or "ORIG_OR_PATH"]
    if query != "NQ":
        return truncate(get, length)

    def without_query(stream: Exchange) -> Value:
        value = get(stream)
        return value.partition("?")[0] if isinstance(value, str) else None

    return truncate(without_query, length)


def _readable(text: str) -> str:
    """Escapes decoded where they stand for visible characters that no log format has to quote.

    A `%` before two characters that are no number goes, as in Envoy.
    """
    return _ESCAPE.sub(_decode_visible, _NO_ESCAPE.sub("", text))


def _decode_visible(found: re.Match[str]) -> str:
    char = chr(int(found.group(1), 16))
    return char if "!" <= char <= "~" and char not in '"\\' else found.group(0)


def _decoded(text: str) -> str:
    """What the escapes stand for; but those of control characters stay: they would break a line, or a head."""
    if "%" not in text:
        return text
    return unquote_to_bytes(_CONTROL.sub(r"%25\1", text).encode("latin-1")).decode("latin-1")


@operator("QUERY_PARAM", argument="required", length=True)
def query_parameter(argument: str, length: int | None) -> Getter:
    def get(stream: Exchange) -> str | None:
        _, _, query = (original_path(stream) or "").partition("?")
        for piece in query.split("&"):
            name, _, value = piece.partition("=")
            if _decoded(name) == argument:
                return _decoded(value)
        return None

    return truncate(get, length)


@operator("QUERY_PARAMS", argument="optional", length=True)
def query_parameters(argument: str, length: int | None) -> Getter:
    if argument not in ("", "ORIG", "DECODED"):
        raise ValueError(f"Invalid QUERY_PARAMS option: '{argument}', only 'ORIG'/'DECODED' are allowed")

    def get(stream: Exchange) -> str | None:
        _, _, query = (original_path(stream) or "").partition("?")
        return (_readable(query) if argument == "DECODED" else query) or None

    return truncate(get, length)


response_code = cast("Callable[[Exchange], int]", coded("0 if (at := stream.response) is None else at.status"))


def response_flags_long(stream: Exchange) -> str:
    return ",".join([LONG_FLAGS.get(flag, flag) for flag in stream.flags]) or "-"


@operator("RESPONSE_CODE_DETAILS", argument="optional")
def response_code_details(argument: str, _length: int | None) -> Getter:
    if argument == "ALLOW_WHITESPACES":
        return lambda stream: stream.details or None

    return coded("(at.replace(' ', '_') if ' ' in (at := stream.details) else at) or None")


def grpc_status_or_from_http(stream: Exchange) -> int | None:
    """From the trailers, from the headers of an answer that has none, or what the HTTP status stands for."""
    for headers in (stream.response_trailers, stream.response):
        value = headers.get("grpc-status") if headers is not None else None
        if value is not None and value.isascii() and value.isdigit():
            return int(value)
    return None if stream.response is None else grpc_status_of(stream.response.status)


def grpc_status_number(stream: Exchange) -> int | None:
    """The status of a gRPC request; other requests have none."""
    content_type = stream.request.get("content-type") if stream.request is not None else None
    if content_type is None or not content_type.startswith("application/grpc") or content_type[16:17] not in ("", "+"):
        return None
    return grpc_status_or_from_http(stream)


@operator("GRPC_STATUS", argument="optional")
def grpc_status(argument: str, _length: int | None) -> Getter:
    if argument == "NUMBER":
        return grpc_status_number
    if argument not in ("", "CAMEL_STRING", "SNAKE_STRING"):
        raise ValueError(f"GrpcStatusFormatter only supports CAMEL_STRING, SNAKE_STRING or NUMBER. Got: {argument}")
    names = SNAKE_STATUS if argument == "SNAKE_STRING" else CAMEL_STATUS

    def get(stream: Exchange) -> str | None:
        number = grpc_status_number(stream)
        if number is None:
            return None
        return names[number] if number < len(names) else str(number)

    return get


def request_headers_bytes(stream: Exchange) -> int:
    request: RequestHeaders | None = stream.request
    if request is None or not request.method:
        return 0
    pseudo = ((":method", request.method), (":path", request.path), (":authority", request.authority),
              (":scheme", request.scheme))  # fmt: skip
    return request.byte_size() + sum([len(name) + len(value) for name, value in pseudo if value])


def response_headers_bytes(stream: Exchange) -> int:
    response: ResponseHeaders | None = stream.response
    if response is None:
        return 0
    meter = stream.meter if stream.faces_client else None
    # `:status` and its three digits count too, and what the codec has added.
    return 10 + response.byte_size() + (meter.added if meter is not None else 0)


def response_trailers_bytes(stream: Exchange) -> int:
    trailers: Headers | None = stream.response_trailers
    return 0 if trailers is None else trailers.byte_size()


plain("BYTES_RECEIVED", coded("stream.bytes_received"))
plain("BYTES_SENT", coded("stream.bytes_sent"))
plain("RESPONSE_CODE", response_code)
plain("RESPONSE_FLAGS", coded("','.join(stream.flags) or '-'"))
plain("RESPONSE_FLAGS_LONG", response_flags_long)
plain("GRPC_STATUS_NUMBER", grpc_status_number)
plain("REQUEST_HEADERS_BYTES", request_headers_bytes)
counted("RESPONSE_HEADERS_BYTES", response_headers_bytes)
plain("RESPONSE_TRAILERS_BYTES", response_trailers_bytes)
plain("CUSTOM_FLAGS", lambda _stream: "")
