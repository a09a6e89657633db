"""xds.type.matcher.v3.Matcher: a tree that leads from what a request says to an action."""

from collections.abc import Callable
from typing import TypeVar

from meshproxy.config.build_matchers import build_string_matcher, header_getter
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.http.stream import Stream
from meshproxy.observe.formatter import wire_text

T = TypeVar("T")
Input = Callable[[Stream], str | None]
Condition = Callable[[Stream], bool]
# The action for a stream, or None.
Tree = Callable[[Stream], T | None]
# Builds an action from the TypedExtensionConfig that names it.
BuildAction = Callable[[View], T]

_HEADER_INPUT = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"


def build_matcher_tree(view: View, ctx: Context, build_action: BuildAction[T]) -> Tree[T]:
    """The function that walks the tree. A branch that leads to nothing gives way to the next one."""
    kind = view.which("matcher_type")
    if kind == "matcher_list":
        branches = _build_list(view.matcher_list, ctx, build_action)
    elif kind == "matcher_tree":
        with view.at("matcher_tree"):
            branches = [_build_map(view.matcher_tree, ctx, build_action)]
    else:
        branches = []
    if view.on_no_match:
        with view.at("on_no_match"):
            branches.append(_build_on_match(view.on_no_match, ctx, build_action))
    return _first(branches)


def _first(branches: list[Tree[T]]) -> Tree[T]:
    def walk(stream: Stream) -> T | None:
        for branch in branches:
            found = branch(stream)
            if found is not None:
                return found
        return None

    return branches[0] if len(branches) == 1 else walk


def _build_on_match(view: View, ctx: Context, build_action: BuildAction[T]) -> Tree[T]:
    if view.keep_matching:
        view.reject("keep_matching", "not supported: of several actions only one is taken")
    if view.which("on_match") == "matcher":
        with view.at("matcher"):
            return build_matcher_tree(view.matcher, ctx, build_action)
    with view.at("action"):
        action = build_action(view.action)
    return lambda _stream: action


def _build_list(view: View, ctx: Context, build_action: BuildAction[T]) -> list[Tree[T]]:
    branches: list[Tree[T]] = []
    for i, each in enumerate(view.matchers):
        with view.at("matchers", i):
            with each.at("predicate"):
                condition = _build_condition(each.predicate, ctx)
            with each.at("on_match"):
                branches.append(_guarded(condition, _build_on_match(each.on_match, ctx, build_action)))
    return branches


def _guarded(condition: Condition, tree: Tree[T]) -> Tree[T]:
    return lambda stream: tree(stream) if condition(stream) else None


def _build_map(view: View, ctx: Context, build_action: BuildAction[T]) -> Tree[T]:
    """exact_match_map or prefix_match_map, of which the longest prefix is tried first."""
    with view.at("input"):
        read = _build_input(view.input)
    kind = view.which("tree_type")
    if kind not in ("exact_match_map", "prefix_match_map"):
        raise ConfigError(f"{kind} is not supported")
    trees: dict[str, Tree[T]] = {}
    for key, on_match in getattr(view, kind).map.items():
        with view.at(kind), getattr(view, kind).at("map", key):
            trees[wire_text(key)] = _build_on_match(on_match, ctx, build_action)
    if kind == "prefix_match_map":
        longest_first = sorted(trees, key=len, reverse=True)
        return _first([_guarded(_starts(read, prefix), trees[prefix]) for prefix in longest_first])

    def look_up(stream: Stream) -> T | None:
        value = read(stream)
        tree = trees.get(value) if value is not None else None
        return tree(stream) if tree is not None else None

    return look_up


def _starts(read: Input, prefix: str) -> Condition:
    return lambda stream: (value := read(stream)) is not None and value.startswith(prefix)


def _build_condition(view: View, ctx: Context) -> Condition:
    kind = view.which("match_type")
    if kind == "single_predicate":
        with view.at("single_predicate"):
            return _build_single(view.single_predicate, ctx)
    if kind == "not_matcher":
        with view.at("not_matcher"):
            inner = _build_condition(view.not_matcher, ctx)
        return lambda stream: not inner(stream)
    if kind not in ("or_matcher", "and_matcher"):
        raise ConfigError("a predicate needs one of its forms")
    combine = any if kind == "or_matcher" else all
    conditions = []
    for i, each in enumerate(getattr(view, kind).predicate):
        with view.at(kind), getattr(view, kind).at("predicate", i):
            conditions.append(_build_condition(each, ctx))
    return lambda stream: combine(condition(stream) for condition in conditions)


def _build_single(view: View, ctx: Context) -> Condition:
    with view.at("input"):
        read = _build_input(view.input)
    if view.which("matcher") == "custom_match":
        with view.at("custom_match"):
            typed_config(view.custom_match)
    with view.at("value_match"):
        match = build_string_matcher(view.value_match, ctx)
    return lambda stream: (value := read(stream)) is not None and match(value)


def _build_input(view: View) -> Input:
    if view.typed_config.type_name != _HEADER_INPUT:
        kind = f"type.googleapis.com/{view.typed_config.type_name}"
        raise ConfigError(f"Route table can only match on request headers, saw {kind}")
    get = header_getter(typed_config(view, _HEADER_INPUT).header_name)
    return lambda stream: get(stream.request)
