"""CEL expressions over exchanges: `%CEL(...)%`, `%TYPED_CEL(...)%` and the CEL filter of access logs.

The library is cel-cpp, the one that Envoy is built with, behind its Python wrapper. It costs 6 MB and 5 ms, so this
module is imported by the first expression of a configuration, and by nothing else. An evaluation costs about 15 µs.

What Envoy switches off is refused here as there: comprehensions (`all`, `exists`, `map`, ...), `string()`.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import re2
from cel.expr import syntax_pb2
from cel_expr_python import cel
from google.protobuf import any_pb2

from meshproxy.config.cel_attributes import ATTRIBUTES, OPEN, Getters
from meshproxy.observe.demand import DEMAND
from meshproxy.observe.operators import Exchange

# Functions that Envoy's builder registers; operators, named like `_+_` and `@in`, it knows all of.
_FUNCTIONS = frozenset(
    "size contains startsWith endsWith matches int uint double bytes bool duration timestamp type dyn getFullYear "
    "getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes getSeconds getMilliseconds".split()
)
_QUIET = re2.Options()
_QUIET.log_errors = False

_ENVIRONMENT = cel.NewEnv(variables=dict.fromkeys((*ATTRIBUTES, *OPEN), cel.Type.DYN))


class Fault(Exception):
    """The expression has no value for this exchange: something is missing, or of another type."""


def compile_cel(source: str) -> Callable[[Exchange], Any]:
    """A function from an exchange to the value of the expression, in Python's types; it raises Fault without one.

    Raises ValueError in Envoy's words.
    """
    try:
        expression = _ENVIRONMENT.compile(source, disable_check=True)
    except RuntimeError as error:
        reason = str(error).removesuffix(" [INVALID_ARGUMENT]")
        raise ValueError(f"Not able to parse expression: {reason}") from None
    tree = syntax_pb2.ParsedExpr.FromString(any_pb2.Any.FromString(expression.serialize()).value).expr
    for node in _nodes(tree):
        _check(node)
    closed = tuple(_wanted(tree).items())
    spelled = _spelled(tree)
    names = {node.ident_expr.name for node in _nodes(tree)}
    opened = tuple([(name, get) for name, get in OPEN.items() if name in names])
    failed = cel.Type.ERROR

    def evaluate(exchange: Exchange) -> Any:
        data = {root: _filled(getters, exchange) for root, getters in closed}
        if spelled:
            for root in ("request", "response"):
                for field in ("headers", "trailers"):
                    _add_spelled(data.get(root, {}).get(field), spelled)
        for root, get in opened:
            value = get(exchange)
            if value is not None:
                data[root] = value
        result = expression.eval(data=data)
        if result.type() == failed:
            raise Fault(result.value())
        return result.plain_value()

    return evaluate


def _filled(getters: Getters, exchange: Exchange) -> dict[str, Any]:
    """The attributes of one root that an expression uses, without those that are missing."""
    values = {}
    for name, get in getters.items():
        value = get(exchange)
        if value is not None:
            values[name] = value
    return values


def _nodes(tree: Any) -> Iterator[Any]:
    """Every expression in an expression."""
    yield tree
    kind = tree.WhichOneof("expr_kind")
    children: list[Any] = []
    if kind == "select_expr":
        children = [tree.select_expr.operand]
    elif kind == "call_expr":
        call = tree.call_expr
        children = [*([call.target] if call.HasField("target") else []), *call.args]
    elif kind == "list_expr":
        children = list(tree.list_expr.elements)
    elif kind == "struct_expr":
        for entry in tree.struct_expr.entries:
            children += [*([entry.map_key] if entry.HasField("map_key") else []), entry.value]
    for child in children:
        yield from _nodes(child)


def _check(node: Any) -> None:
    """Refuses what Envoy's builder does not know."""
    kind = node.WhichOneof("expr_kind")
    if kind == "comprehension_expr":
        raise ValueError("failed to create an expression: Comprehension support is disabled")
    name = node.struct_expr.message_name
    if name and not name.startswith("google.protobuf."):
        raise ValueError(f"failed to create an expression: Invalid struct creation: missing type info for '{name}'")
    if kind != "call_expr":
        return
    name = node.call_expr.function
    if name.isidentifier() and name not in _FUNCTIONS:
        raise ValueError(f"failed to create an expression: No overload found in reference resolve step for {name}")
    if name == "matches":
        _check_pattern(node.call_expr.args[-1])


def _check_pattern(argument: Any) -> None:
    pattern = argument.const_expr.string_value
    try:
        re2.compile(pattern, _QUIET)
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise ValueError(f"failed to create an expression: invalid regular expression: {reason}") from None


def _wanted(tree: Any) -> dict[str, Getters]:
    """The attributes that the expression may look at, by root."""
    wanted: dict[str, dict[str, Callable[[Exchange], Any]]] = {}
    # Roots whose field is named where they stand: `request.path`, `request['path']`.
    named: set[int] = set()
    for node in _nodes(tree):
        root, field = _attribute(node)
        if root is not None:
            named.add(root.id)
            name = root.ident_expr.name
            getters = wanted.setdefault(name, {})
            if field in ATTRIBUTES[name]:
                getters[field] = ATTRIBUTES[name][field]
    for node in _nodes(tree):
        name = node.ident_expr.name
        if name in ATTRIBUTES and node.id not in named:
            wanted[name] = dict(ATTRIBUTES[name])
    if "total_size" in wanted.get("response", ()):
        DEMAND.wire = True
    return dict(wanted)


def _spelled(tree: Any) -> frozenset[str]:
    """Texts with capitals, which may name headers: those are the same in any spelling."""
    texts = {node.const_expr.string_value for node in _nodes(tree)}
    return frozenset(text for text in texts if text.isascii() and text != text.lower())


def _add_spelled(headers: Any, names: frozenset[str]) -> None:
    for name in names if isinstance(headers, dict) else ():
        if name.lower() in headers:
            headers[name] = headers[name.lower()]


def _attribute(node: Any) -> tuple[Any, str]:
    """(the root, the field) of `root.field` or `root['field']`, else (None, "")."""
    root, field = None, ""
    if node.WhichOneof("expr_kind") == "select_expr":
        root, field = node.select_expr.operand, node.select_expr.field
    elif node.call_expr.function == "_[_]" and node.call_expr.args[1].const_expr.WhichOneof("constant_kind"):
        root, field = node.call_expr.args[0], node.call_expr.args[1].const_expr.string_value
    return (root, field) if root is not None and root.ident_expr.name in ATTRIBUTES else (None, "")


def as_text(value: Any) -> str:
    """A value as `%CEL%` prints it, in Latin-1 of its UTF-8 bytes."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8").decode("latin-1")
    if isinstance(value, (bytes, bytearray)):
        return value.decode("latin-1")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, timedelta):
        return _duration_text(value)
    if isinstance(value, datetime):
        return _time_text(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, dict)):
        return "CelList value" if isinstance(value, list) else "CelMap value"
    return "NULL" if value is None else "CelType value"


def _time_text(value: datetime) -> str:
    """As absl::FormatTime: `2026-11-29T17:33:15.64485+00:00`."""
    whole, _, fraction = value.astimezone(UTC).replace(tzinfo=None).isoformat().partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}+00:00" if fraction else f"{whole}+00:00"


def _duration_text(value: timedelta) -> str:
    """As absl::FormatDuration: `1h2m3.5s`."""
    total = value // timedelta(microseconds=1)
    sign, total = ("-", -total) if total < 0 else ("", total)
    seconds, micros = divmod(total, 1_000_000)
    if not seconds:
        return "0" if not micros else f"{sign}{micros / 1000:g}ms" if micros >= 1000 else f"{sign}{micros}us"
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    fraction = f".{micros:06}".rstrip("0") if micros else ""
    rest = f"{seconds}{fraction}s" if seconds or micros else ""
    return f"{sign}{f'{hours}h' if hours else ''}{f'{minutes}m' if minutes else ''}{rest}"


def as_json(value: Any) -> Any:
    """A value as `%TYPED_CEL%` has it in JSON."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, datetime):
        return _time_text(value).removesuffix("+00:00") + "Z"
    if isinstance(value, dict):
        return {as_text(key): as_json(each) for key, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return as_text(value) if isinstance(value, (bytes, bytearray, str)) else value
