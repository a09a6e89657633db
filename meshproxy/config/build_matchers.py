"""Matchers on strings, headers, query parameters and metadata, as plain predicates (type.matcher.v3 and route.v3).

What they compare is Latin-1 text, a character for a byte; patterns from the configuration are the bytes of their UTF-8.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any
from urllib.parse import unquote_to_bytes

from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import find_extension
from meshproxy.config.regex import full_matcher
from meshproxy.config.view import View
from meshproxy.http.headers import PSEUDO, Headers, RequestHeaders, ResponseHeaders
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.path_match import fold_case

TextMatch = Callable[[str], bool]
HeaderMatch = Callable[[Headers], bool]
ValuesMatch = Callable[[dict[str, str]], bool]


def build_string_matcher(view: View, ctx: Context) -> TextMatch:
    """envoy.type.matcher.v3.StringMatcher."""
    kind = view.which("match_pattern")
    fold = view.ignore_case
    if kind == "safe_regex":
        if fold:
            view.reject("ignore_case", "ignore_case has no effect for safe_regex.")
        with view.at("safe_regex"):
            return build_regex(view.safe_regex)
    if kind == "custom":
        custom = view.custom.typed_config.unpack()
        matcher: TextMatch = find_extension(custom.type_name).build(custom, ctx)
        return matcher
    if kind is None:
        raise ConfigError("a string matcher needs a match_pattern")
    return text_matcher(kind, getattr(view, kind), fold)


def text_matcher(kind: str, pattern: str, fold: bool = False) -> TextMatch:
    """`kind`: exact, prefix, suffix or contains; `fold`: letters of ASCII in any case."""
    text = wire_text(pattern)
    if fold:
        text = fold_case(text)
        compare = _COMPARISONS[kind](text)
        return lambda value: compare(fold_case(value))
    return _COMPARISONS[kind](text)


_COMPARISONS: dict[str, Callable[[str], TextMatch]] = {
    "exact": lambda text: lambda value: value == text,
    "prefix": lambda text: lambda value: value.startswith(text),
    "suffix": lambda text: lambda value: value.endswith(text),
    "contains": lambda text: lambda value: text in value,
}


def build_regex(view: View) -> TextMatch:
    """envoy.type.matcher.v3.RegexMatcher: the whole text matches."""
    view.ignore("google_re2", why="RE2 is the only engine, and its program size has no limit here")
    with view.at("regex"):
        return full_matcher(view.regex)


def header_getter(name: str) -> Callable[[Headers], str | None]:
    """Reads a header or pseudo-header by its name, whatever its case; None where it is absent."""
    name = fold_case(wire_text(name))
    if name == ":status":
        return lambda headers: str(headers.status) if isinstance(headers, ResponseHeaders) else None
    attribute = PSEUDO.get(name)
    if attribute is None:
        return lambda headers: headers.get(name)
    read = attrgetter(attribute)
    return lambda headers: read(headers) or None if isinstance(headers, RequestHeaders) else headers.get(name)


def build_header_matchers(views: list[View], ctx: Context) -> HeaderMatch:
    """All of several HeaderMatchers."""
    matchers = tuple(build_header_matcher(view, ctx) for view in views)
    if len(matchers) == 1:
        return matchers[0]
    return lambda headers: all(match(headers) for match in matchers)


def build_header_matcher(view: View, ctx: Context) -> HeaderMatch:
    """envoy.config.route.v3.HeaderMatcher. Of a header that repeats, one line that matches is enough."""
    name = fold_case(wire_text(view.name))
    get = header_getter(name)
    invert: bool = view.invert_match
    missing_as_empty = view.treat_missing_header_as_empty
    kind = view.which("header_match_specifier")
    if kind in (None, "present_match"):
        wanted = (kind is None or view.present_match) != invert
        if missing_as_empty:
            return lambda headers: wanted
        return lambda headers: (get(headers) is not None) == wanted
    match = _value_matcher(view, kind, ctx)

    def matches(headers: Headers) -> bool:
        value = get(headers)
        if value is None:
            if not missing_as_empty:
                return False
            value = ""
        elif "," in value and len(lines := headers.get_all(name)) > 1:
            return any(map(match, lines)) != invert
        return match(value) != invert

    return matches


def _value_matcher(view: View, kind: str, ctx: Context) -> TextMatch:
    if kind == "string_match":
        with view.at("string_match"):
            return build_string_matcher(view.string_match, ctx)
    if kind == "safe_regex_match":
        with view.at("safe_regex_match"):
            return build_regex(view.safe_regex_match)
    if kind == "range_match":
        numbers = range(view.range_match.start, view.range_match.end)
        return lambda value: parse_integer(value) in numbers
    return text_matcher(kind.removesuffix("_match"), getattr(view, kind))


def parse_integer(text: str) -> int | None:
    """A signed 64-bit integer as absl::SimpleAtoi reads it; None where the text is anything else."""
    digits = text.strip(" \t\n\v\f\r")
    unsigned = digits[1:] if digits[:1] in ("-", "+") else digits
    if not unsigned.isascii() or not unsigned.isdigit() or len(unsigned) > 30:
        return None
    number = int(digits)
    return number if -(2**63) <= number < 2**63 else None


def build_query_matcher(view: View, ctx: Context) -> ValuesMatch:
    """envoy.config.route.v3.QueryParameterMatcher, on the parameters as `query_parameters` gives them."""
    name = wire_text(view.name)
    kind = view.which("query_parameter_match_specifier")
    if kind == "string_match":
        with view.at("string_match"):
            match = build_string_matcher(view.string_match, ctx)
        return lambda parameters: (value := parameters.get(name)) is not None and match(value)
    wanted = kind is None or view.present_match
    return lambda parameters: (name in parameters) == wanted


def build_cookie_matcher(view: View, ctx: Context) -> ValuesMatch:
    """envoy.config.route.v3.CookieMatcher, on the cookies as `cookies` gives them."""
    name = wire_text(view.name)
    with view.at("string_match"):
        match = build_string_matcher(view.string_match, ctx)
    invert: bool = view.invert_match
    return lambda found: ((value := found.get(name)) is not None and match(value)) != invert


def build_value_matcher(view: View, ctx: Context) -> Callable[[Any], bool]:
    """envoy.type.matcher.v3.ValueMatcher; None stands for a value that is not there."""
    kind = view.which("match_pattern")
    if kind == "null_match":
        # The metadata keep no difference between null and absent, except in lists.
        return lambda value: value is NULL
    if kind == "double_match":
        return _double_matcher(view.double_match)
    if kind == "string_match":
        with view.at("string_match"):
            match = build_string_matcher(view.string_match, ctx)
        return lambda value: isinstance(value, str) and match(value)
    if kind == "bool_match":
        wanted = view.bool_match
        return lambda value: value is wanted
    if kind == "present_match":
        present = view.present_match
        return lambda value: (value is not None) == present
    if kind == "list_match":
        one_of = build_value_matcher(view.list_match.one_of, ctx)
        return lambda value: isinstance(value, list) and any(map(one_of, value))
    if kind == "or_match":
        matchers = [build_value_matcher(each, ctx) for each in view.or_match.value_matchers]
        return lambda value: any(matcher(value) for matcher in matchers)
    raise ConfigError("a value matcher needs a match_pattern")


NULL = object()


def _double_matcher(view: View) -> Callable[[Any], bool]:
    if view.which("match_pattern") == "exact":
        exact = view.exact
        return lambda value: _is_number(value) and value == exact
    low: float = view.range.start
    high: float = view.range.end
    return lambda value: _is_number(value) and low <= value < high


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def build_metadata_matcher(view: View, ctx: Context) -> Callable[[dict[str, Any] | None], bool]:
    """envoy.type.matcher.v3.MetadataMatcher, on metadata by namespace (None: there is none)."""
    namespace = wire_text(view.filter)
    keys = [wire_text(segment.key) for segment in view.path]
    with view.at("value"):
        match = build_value_matcher(view.value, ctx)
    invert: bool = view.invert

    def matches(metadata: dict[str, Any] | None) -> bool:
        value: Any = metadata.get(namespace) if metadata else None
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return match(value) != invert

    return matches


def query_parameters(path: str) -> dict[str, str]:
    """The parameters behind the `?`, not decoded; of a name that repeats, the first."""
    found: dict[str, str] = {}
    for pair in path.partition("?")[2].partition("#")[0].split("&"):
        name, _, value = pair.partition("=")
        found.setdefault(name, value)
    return found


def decoded_query_parameters(path: str) -> dict[str, str]:
    """The same, with escapes taken for what they stand for."""
    found = query_parameters(path)
    if "%" not in path:
        return found
    decoded: dict[str, str] = {}
    for name, value in found.items():
        decoded.setdefault(_unescaped(name), _unescaped(value))
    return decoded


def _unescaped(text: str) -> str:
    return unquote_to_bytes(text.encode("latin-1")).decode("latin-1")


def cookies(headers: Headers) -> dict[str, str]:
    """The cookies of a request without the quotes around their values; of a name that repeats, the first."""
    found: dict[str, str] = {}
    for line in headers.get_all("cookie"):
        for pair in line.split(";"):
            name, equals, value = pair.strip(" \t").partition("=")
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1]
            if equals:
                found.setdefault(name, value)
    return found
