"""Copies headers and cookies into dynamic metadata (envoy.extensions.filters.http.header_to_metadata.v3.Config)."""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Value

from meshproxy.api import (
    ConfigError,
    Headers,
    HttpFilter,
    StatGroup,
    Stream,
    build_substitution,
    fold_case,
    read_header,
    value_of,
    wire_text,
    wire_value,
)

_DEFAULT_NAMESPACE = "envoy.filters.http.header_to_metadata"
_MAX_VALUE = 8 * 1024
_HEXADECIMAL = re.compile(r"[+-]?0[xX][0-9a-fA-F]+\.?[0-9a-fA-F]*(?:[pP][+-]?[0-9]+)?\Z")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")


class HeaderToMetadataStats(StatGroup):
    """`http_filter_name.<stat_prefix>.*`, only where a stat_prefix is set."""

    COUNTERS = (
        "base64_decode_failed", "header_value_too_long", "regex_substitution_failed", "request_header_not_found",
        "request_metadata_added", "request_rules_processed", "response_header_not_found", "response_metadata_added",
        "response_rules_processed",
    )  # fmt: skip

    __slots__ = COUNTERS


@dataclass(frozen=True, slots=True)
class Target:
    """KeyValuePair: where a value goes, and what becomes of it on the way. `fixed` replaces the header's value."""

    namespace: str
    key: str
    fixed: str
    type: str
    base64: bool
    rewrite: Callable[[str], str] | None


@dataclass(frozen=True, slots=True)
class Rule:
    read: Callable[[Headers], str | None]
    # The header to remove once it was read, or "".
    remove: str
    present: Target | None
    missing: Target | None


class HeaderToMetadata(HttpFilter):
    """Runs the rules that it was given; a route's rules replace them."""

    def __init__(self, request: tuple[Rule, ...], response: tuple[Rule, ...], stats: HeaderToMetadataStats) -> None:
        self._request = request
        self._response = response
        self.stats = stats

    @classmethod
    def build(cls, config: Any, ctx: Any) -> "HeaderToMetadata":
        stats = HeaderToMetadataStats()
        if config.stat_prefix:
            ctx.stats.add(f"{ctx.stat_prefix}http_filter_name.{config.stat_prefix}", stats)
        return cls(_rules(config, "request_rules"), _rules(config, "response_rules"), stats)

    @classmethod
    def build_override(cls, config: Any, ctx: Any) -> "HeaderToMetadata":
        if not config.request_rules and not config.response_rules:
            raise ConfigError(
                "header_to_metadata_filter: Per filter configs must at least specify either request or response rules"
            )
        return cls.build(config, ctx)

    def for_route(self, override: "HeaderToMetadata") -> "HeaderToMetadata":
        return override

    def on_request_headers(self, stream: Stream, end: bool) -> None:
        stats = self.stats
        for rule in self._request:
            stats.request_rules_processed += 1
            value = _take(rule, stream.request)
            if value is None and rule.missing is not None:
                stats.request_header_not_found += 1
            stats.request_metadata_added += _store(stream, rule, value, stats)

    def on_response_headers(self, stream: Stream, end: bool) -> None:
        stats = self.stats
        assert stream.response is not None
        for rule in self._response:
            stats.response_rules_processed += 1
            value = _take(rule, stream.response)
            if value is None and rule.missing is not None:
                stats.response_header_not_found += 1
            stats.response_metadata_added += _store(stream, rule, value, stats)


def _rules(config: Any, field: str) -> tuple[Rule, ...]:
    rules = []
    for i, view in enumerate(getattr(config, field)):
        with config.at(field, i):
            rules.append(_rule(view))
    return tuple(rules)


def _rule(view: Any) -> Rule:
    header, cookie = fold_case(wire_text(view.header)), wire_text(view.cookie)
    if header and cookie:
        raise ConfigError("Cannot specify both header and cookie")
    if not header and not cookie:
        raise ConfigError("One of Cookie or Header option needs to be specified")
    if cookie and view.remove:
        raise ConfigError("Cannot specify remove for cookie")
    if not view.on_header_present and not view.on_header_missing:
        raise ConfigError(
            f"header to metadata filter: rule for {header or cookie} has neither `on_header_present` nor "
            "`on_header_missing` set"
        )
    if view.on_header_missing and not view.on_header_missing.value:
        raise ConfigError("Cannot specify on_header_missing rule with an empty value")
    return Rule(
        read=_cookie_reader(cookie) if cookie else lambda headers: read_header(headers, header),
        remove=header if view.remove else "",
        present=_target(view, "on_header_present"),
        missing=_target(view, "on_header_missing"),
    )


def _target(rule: Any, field: str) -> Target | None:
    view = getattr(rule, field)
    if not view:
        return None
    rewrite = None
    if view.regex_value_rewrite:
        if view.value:
            raise ConfigError("Cannot specify both value and regex_value_rewrite")
        with view.at("regex_value_rewrite"):
            rewrite = build_substitution(view.regex_value_rewrite)
    return Target(
        namespace=wire_text(view.metadata_namespace) or _DEFAULT_NAMESPACE,
        key=wire_text(view.key),
        fixed=wire_text(view.value),
        type=view.enum("type"),
        base64=view.enum("encode") == "BASE64",
        rewrite=rewrite,
    )


def _cookie_reader(name: str) -> Callable[[Headers], str | None]:
    def read(headers: Headers) -> str | None:
        for line in headers.get_all("cookie"):
            for pair in line.split(";"):
                key, _, value = pair.strip(" \t").partition("=")
                if key == name:
                    if len(value) > 1 and value[0] == value[-1] == '"':
                        value = value[1:-1]
                    return value or None
        return None

    return read


def _take(rule: Rule, headers: Headers) -> str | None:
    value = rule.read(headers)
    if rule.remove and value is not None:
        headers.remove(rule.remove)
    return value


def _store(stream: Stream, rule: Rule, value: str | None, stats: HeaderToMetadataStats) -> int:
    """Puts what the rule makes of the value into the metadata; 1 where something was put."""
    target = rule.missing if value is None else rule.present
    if target is None:
        return 0
    text = value or ""
    if target.fixed:
        text = target.fixed
    elif target.rewrite is not None and text:
        text = target.rewrite(text)
        stats.regex_substitution_failed += not text
    if not text:
        return 0
    made = _convert(target, text, stats)
    if made is None:
        return 0
    stream.set_metadata(target.namespace, target.key, made[0])
    return 1


def _convert(target: Target, text: str, stats: HeaderToMetadataStats) -> tuple[Any] | None:
    """The value as the rule wants it, in a tuple because it may be null; None where it cannot be made."""
    if len(text) >= _MAX_VALUE:
        stats.header_value_too_long += 1
        return None
    if target.base64:
        text = _decode(text)
        if not text:
            stats.base64_decode_failed += 1
            return None
    if target.type == "NUMBER":
        number = _number(text.strip(" \t\n\v\f\r"))
        return None if number is None else (int(number) if number.is_integer() else number,)
    if target.type == "PROTOBUF_VALUE":
        try:
            return (wire_value(value_of(Value.FromString(text.encode("latin-1")))),)
        except DecodeError:
            return None
    return (text,)


def _number(text: str) -> float | None:
    """A number as absl::SimpleAtod reads it."""
    try:
        if _NUMBER.match(text):
            number = float(text)
        elif _HEXADECIMAL.match(text):
            number = float.fromhex(text)
        else:
            return None
    except OverflowError:
        return None
    return number if isfinite(number) else None


def _decode(text: str) -> str:
    try:
        return b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), validate=True).decode("latin-1")
    except (binascii.Error, ValueError):
        return ""
