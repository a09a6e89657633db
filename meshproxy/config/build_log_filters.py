"""envoy.config.accesslog.v3.AccessLogFilter: predicates on a finished exchange."""

import operator
from collections.abc import Callable
from typing import Any

from meshproxy.config.build_matchers import build_header_matcher, build_value_matcher
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.http.headers import Headers
from meshproxy.net.randomness import source
from meshproxy.observe.access_log import Filter
from meshproxy.observe.json_text import wire_text
from meshproxy.observe.operators import Exchange
from meshproxy.observe.operators_data import log_type
from meshproxy.observe.operators_request import grpc_status_or_from_http, response_code
from meshproxy.observe.operators_time import duration

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "EQ": operator.eq, "GE": operator.ge, "LE": operator.le, "NE": operator.ne,
}  # fmt: skip
_DENOMINATORS = {"HUNDRED": 100, "TEN_THOUSAND": 10_000, "MILLION": 1_000_000}
_UNKNOWN_GRPC_STATUS = 2
_getrandbits = source("percentages").getrandbits
_NO_HEADERS = Headers()
_CEL = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"


def build_log_filter(view: View, ctx: Context) -> Filter:
    kind = view.which("filter_specifier")
    build = _BUILDERS.get(kind or "")
    if kind is None or build is None:
        raise ConfigError(f"{kind or 'a filter without a kind'}: not supported")
    with view.at(kind):
        return build(getattr(view, kind), ctx)


def _comparison(view: View, ctx: Context) -> Callable[[int], bool]:
    compare = _COMPARE[view.enum("op")]
    default, key = view.value.default_value, view.value.runtime_key
    if not key:
        return lambda number: compare(number, default)
    runtime = ctx.runtime
    return lambda number: compare(number, runtime.integer(key, default))


def _status_code(view: View, ctx: Context) -> Filter:
    with view.at("comparison"):
        matches = _comparison(view.comparison, ctx)
    return lambda exchange: matches(response_code(exchange))


def _duration(view: View, ctx: Context) -> Filter:
    with view.at("comparison"):
        matches = _comparison(view.comparison, ctx)
    return lambda exchange: matches(duration(exchange))


def _not_health_check(_view: View, _ctx: Context) -> Filter:
    """Requests that the health_check filter has taken for health checks are not logged."""
    return lambda exchange: not exchange.health_check


def _traceable(_view: View, _ctx: Context) -> Filter:
    """Only what is traced, and nothing is without a tracer."""
    return lambda _exchange: False


def _runtime(view: View, ctx: Context) -> Filter:
    """A share of the exchanges; the same ones everywhere, by their request id, unless that is turned off."""
    key = view.runtime_key
    numerator = view.percent_sampled.numerator
    denominator = _DENOMINATORS[view.percent_sampled.enum("denominator")]
    independent = view.use_independent_randomness
    runtime = ctx.runtime

    def sampled(exchange: Exchange) -> bool:
        stable = None if independent else _stable_number(exchange)
        number = _getrandbits(32) if stable is None else stable
        return number % denominator < min(runtime.integer(key, numerator), denominator)

    return sampled


def _stable_number(exchange: Exchange) -> int | None:
    """The first 32 bits of the request id, where it is a UUID."""
    request_id = exchange.request.get("x-request-id") if exchange.request is not None else None
    if request_id is None or len(request_id) != 36:
        return None
    try:
        return int(request_id[:8], 16)
    except ValueError:
        return None


def _and(view: View, ctx: Context) -> Filter:
    filters = _several(view, ctx)
    return lambda exchange: all(each(exchange) for each in filters)


def _or(view: View, ctx: Context) -> Filter:
    filters = _several(view, ctx)
    return lambda exchange: any(each(exchange) for each in filters)


def _several(view: View, ctx: Context) -> list[Filter]:
    filters = []
    for i, each in enumerate(view.filters):
        with view.at("filters", i):
            filters.append(build_log_filter(each, ctx))
    return filters


def _header(view: View, ctx: Context) -> Filter:
    with view.at("header"):
        matches = build_header_matcher(view.header, ctx)
    return lambda exchange: matches(exchange.request if exchange.request is not None else _NO_HEADERS)


def _response_flag(view: View, _ctx: Context) -> Filter:
    flags = frozenset(view.flags)
    if not flags:
        return lambda exchange: bool(exchange.flags)
    return lambda exchange: not flags.isdisjoint(exchange.flags)


def _grpc_status(view: View, _ctx: Context) -> Filter:
    statuses = frozenset(view.statuses)
    exclude = bool(view.exclude)

    def matches(exchange: Exchange) -> bool:
        status = grpc_status_or_from_http(exchange)
        return ((_UNKNOWN_GRPC_STATUS if status is None else status) in statuses) != exclude

    return matches


def _metadata(view: View, ctx: Context) -> Filter:
    """The matcher's `invert` means nothing here, as in Envoy."""
    default = bool(view.get("match_if_key_not_found", True))
    matcher = view.matcher
    if not matcher:
        return lambda _exchange: default
    path = [wire_text(name) for name in (matcher.filter, *[segment.key for segment in matcher.path])]
    matcher.ignore("invert", why="the filter does not look at it")
    with view.at("matcher"), matcher.at("value"):
        matches = build_value_matcher(matcher.value, ctx)

    def decide(exchange: Exchange) -> bool:
        value: Any = exchange.metadata
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return default if value is None else matches(value)

    return decide


def _log_type(view: View, _ctx: Context) -> Filter:
    message = view.take()
    names = message.DESCRIPTOR.fields_by_name["types"].enum_type.values_by_number
    types = frozenset(names[number].name for number in message.types)
    exclude = message.exclude
    return lambda exchange: (log_type(exchange) in types) != exclude


def _extension(view: View, _ctx: Context) -> Filter:
    config = typed_config(view, _CEL)
    config.ignore("cel_config", why="expressions have what Envoy gives them by default")
    # 6 MB and 5 ms that most configurations do without.
    from meshproxy.config.cel import Fault, compile_cel

    with config.at("expression"):
        try:
            evaluate = compile_cel(config.expression)
        except ValueError as error:
            raise ConfigError(str(error).replace("parse expression", "parse filter expression")) from None

    def keep(exchange: Exchange) -> bool:
        try:
            return evaluate(exchange) is True
        except Fault:
            return False

    return keep


_BUILDERS: dict[str, Callable[[View, Context], Filter]] = {
    "status_code_filter": _status_code,
    "duration_filter": _duration,
    "not_health_check_filter": _not_health_check,
    "traceable_filter": _traceable,
    "runtime_filter": _runtime,
    "and_filter": _and,
    "or_filter": _or,
    "header_filter": _header,
    "response_flag_filter": _response_flag,
    "grpc_status_filter": _grpc_status,
    "metadata_filter": _metadata,
    "log_type_filter": _log_type,
    "extension_filter": _extension,
}
