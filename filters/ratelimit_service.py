"""A rate limit service as filters ask it (envoy.service.ratelimit.v3.RateLimitService)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from meshproxy.api import (
    Allowance,
    Descriptor,
    GrpcClient,
    GrpcError,
    build_grpc_service,
    message_class,
    utf8,
    wire_struct,
    wire_text,
)

_METHOD = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit"
_TIMEOUT = 0.02
_UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400, "WEEK": 604800, "MONTH": 2592000, "YEAR": 31536000}
# What no header may have: it would end the line.
_LINE_ENDS = re.compile(r"[\r\n\0]")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class ServiceError(Exception):
    """There is no answer, or none that says anything."""


class Status(NamedTuple):
    """What the service says of one descriptor."""

    over: bool
    # Whether it names a limit; then `limit` requests in `window` seconds (0: no unit of time that is known).
    limited: bool
    limit: int
    window: int
    name: str
    remaining: int
    # Seconds.
    reset: int


@dataclass(slots=True)
class Answer:
    """What the service says. Texts are as on the wire."""

    over: bool
    statuses: list[Status]
    response_headers: list[tuple[str, str]]
    request_headers: list[tuple[str, str]]
    body: bytes
    metadata: dict[str, Any] = field(default_factory=dict)


class RateLimitService:
    def __init__(self, client: GrpcClient) -> None:
        self._client = client
        self._request = message_class("envoy.service.ratelimit.v3.RateLimitRequest")
        self._response = message_class("envoy.service.ratelimit.v3.RateLimitResponse")
        unit = message_class("envoy.service.ratelimit.v3.RateLimitResponse.RateLimit").DESCRIPTOR.fields_by_name["unit"]
        self._windows = {value.number: _UNITS.get(value.name, 0) for value in unit.enum_type.values}

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "RateLimitService":
        """config: a filter's message with `rate_limit_service` and `timeout`."""
        service = config.rate_limit_service
        with config.at("rate_limit_service"):
            if service.enum("transport_api_version") not in ("AUTO", "V3"):
                service.reject("transport_api_version", "only V3 is spoken")
            with service.at("grpc_service"):
                client = build_grpc_service(service.grpc_service, ctx)
        # That of the filter counts, not the one of the service.
        client.timeout = config.seconds("timeout", _TIMEOUT)
        return cls(client)

    def question(self, domain: str, hits: int = 0) -> Any:
        """An empty request, for `add`."""
        return self._request(domain=domain, hits_addend=hits)

    async def ask(self, question: Any) -> Answer:
        """Raises ServiceError."""
        try:
            message = await self._client.unary(_METHOD, question.SerializeToString())
            return self._read(self._response.FromString(message))
        except GrpcError as error:
            raise ServiceError(str(error)) from None
        except (ValueError, OverflowError) as error:
            raise ServiceError(f"not an answer: {error}") from None
        except Exception as error:
            # What is no message: the library's DecodeError, which is not ours to import.
            if type(error).__name__ != "DecodeError":
                raise
            raise ServiceError(f"not an answer: {error}") from None

    def _read(self, message: Any) -> Answer:
        answer = Answer(
            over=message.overall_code == 2,
            statuses=[self._status(each) for each in message.statuses],
            response_headers=_pairs(message.response_headers_to_add),
            request_headers=_pairs(message.request_headers_to_add),
            body=message.raw_body,
        )
        if message.HasField("dynamic_metadata"):
            answer.metadata = wire_struct(message.dynamic_metadata)
        return answer

    def _status(self, status: Any) -> Status:
        limit = status.current_limit
        if _LINE_ENDS.search(limit.name):
            raise ValueError(f"{limit.name!r} is no name for a header")
        multiplier = limit.unit_multiplier.value if limit.HasField("unit_multiplier") else 1
        return Status(
            status.code == 2, status.HasField("current_limit"), limit.requests_per_unit,
            self._windows.get(limit.unit, 0) * multiplier, wire_text(limit.name), status.limit_remaining,
            status.duration_until_reset.seconds,
        )  # fmt: skip


def add(
    question: Any, entries: Descriptor, allowance: Allowance | None = None, hits: int | None = None,
    negative: bool = False,
) -> None:  # fmt: skip
    """One more descriptor."""
    descriptor = question.descriptors.add()
    for key, value in entries:
        # Bytes that are no UTF-8 become `!`: a service that refuses the message because of them would be taken for one
        # that failed, and whoever sends such bytes would be let through.
        descriptor.entries.add(key=utf8(key), value=utf8(value))
    if allowance is not None:
        descriptor.limit.requests_per_unit = allowance.requests
        descriptor.limit.unit = allowance.unit
        if allowance.multiplier is not None:
            descriptor.limit.unit_multiplier.value = allowance.multiplier
    if hits is not None:
        descriptor.hits_addend.value = hits
    if negative:
        descriptor.is_negative_hits = True


def _pairs(values: Iterable[Any]) -> list[tuple[str, str]]:
    pairs = []
    for each in values:
        name, value = each.key.lower(), wire_text(each.value)
        if not _NAME.fullmatch(name) or _LINE_ENDS.search(value):
            raise ValueError(f"{name!r} is no header")
        pairs.append((name, value))
    return pairs
