"""xds.type.matcher.v3.Matcher: a tree that leads from what a request, or a connection, says to an action."""

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, TypeVar

from meshproxy.config.build_addresses import is_ip
from meshproxy.config.build_listen_addresses import build_networks
from meshproxy.config.build_matchers import build_string_matcher, header_getter
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.extensions import typed_config
from meshproxy.config.view import View
from meshproxy.observe.formatter import wire_text

T = TypeVar("T")
Network = IPv4Network | IPv6Network
# What it is that is matched: a Stream, or a Connection.
Subject = Any
Input = Callable[[Subject], str | None]
Condition = Callable[[Subject], bool]
# The action for a subject, or None.
Tree = Callable[[Subject], T | None]
# Builds an action from the TypedExtensionConfig that names it.
BuildAction = Callable[[View], T]
# Builds an input from the TypedExtensionConfig that names it.
BuildInput = Callable[[View], Input]

_HEADER_INPUT = "envoy.type.matcher.v3.HttpRequestHeaderMatchInput"
_IP_MATCHER = "xds.type.matcher.v3.IPMatcher"


def request_header(view: View) -> Input:
    """The one input of route tables."""
    if view.typed_config.type_name != _HEADER_INPUT:
        kind = f"type.googleapis.com/{view.typed_config.type_name}"
        raise ConfigError(f"Route table can only match on request headers, saw {kind}")
    get = header_getter(typed_config(view, _HEADER_INPUT).header_name)
    return lambda stream: get(stream.request)


def build_matcher_tree(
    view: View, ctx: Context, build_action: BuildAction[T], build_input: BuildInput = request_header
) -> Tree[T]:
    """The function that walks the tree. A branch that leads to nothing gives way to the next one."""
    kind = view.which("matcher_type")
    if kind == "matcher_list":
        branches = _build_list(view.matcher_list, ctx, build_action, build_input)
    elif kind == "matcher_tree":
        with view.at("matcher_tree"):
            branches = [_build_map(view.matcher_tree, ctx, build_action, build_input)]
    else:
        branches = []
    if view.on_no_match:
        with view.at("on_no_match"):
            branches.append(_build_on_match(view.on_no_match, ctx, build_action, build_input))
    return _first(branches)


def _first(branches: list[Tree[T]]) -> Tree[T]:
    def walk(subject: Subject) -> T | None:
        for branch in branches:
            found = branch(subject)
            if found is not None:
                return found
        return None

    return branches[0] if len(branches) == 1 else walk


def _build_on_match(view: View, ctx: Context, build_action: BuildAction[T], build_input: BuildInput) -> Tree[T]:
    if view.keep_matching:
        view.reject("keep_matching", "not supported: of several actions only one is taken")
    if view.which("on_match") == "matcher":
        with view.at("matcher"):
            return build_matcher_tree(view.matcher, ctx, build_action, build_input)
    with view.at("action"):
        action = build_action(view.action)
    return lambda _subject: action


def _build_list(
    view: View, ctx: Context, build_action: BuildAction[T], build_input: BuildInput
) -> list[Tree[T]]:
    branches: list[Tree[T]] = []
    for i, each in enumerate(view.matchers):
        with view.at("matchers", i):
            with each.at("predicate"):
                condition = _build_condition(each.predicate, ctx, build_input)
            with each.at("on_match"):
                tree = _build_on_match(each.on_match, ctx, build_action, build_input)
            branches.append(_guarded(condition, tree))
    return branches


def _guarded(condition: Condition, tree: Tree[T]) -> Tree[T]:
    return lambda subject: tree(subject) if condition(subject) else None


def _build_map(view: View, ctx: Context, build_action: BuildAction[T], build_input: BuildInput) -> Tree[T]:
    """exact_match_map or prefix_match_map, of which the longest prefix is tried first."""
    with view.at("input"):
        read = build_input(view.input)
    kind = view.which("tree_type")
    if kind == "custom_match":
        with view.at("custom_match"):
            ranges = typed_config(view.custom_match, _IP_MATCHER).range_matchers
            return _build_ranges(ranges, read, lambda each: _build_on_match(each, ctx, build_action, build_input))
    if kind not in ("exact_match_map", "prefix_match_map"):
        raise ConfigError(f"{kind} is not supported")
    trees: dict[str, Tree[T]] = {}
    for key, on_match in getattr(view, kind).map.items():
        with view.at(kind), getattr(view, kind).at("map", key):
            trees[wire_text(key)] = _build_on_match(on_match, ctx, build_action, build_input)
    if kind == "prefix_match_map":
        longest_first = sorted(trees, key=len, reverse=True)
        return _first([_guarded(_starts(read, prefix), trees[prefix]) for prefix in longest_first])

    def look_up(subject: Subject) -> T | None:
        value = read(subject)
        tree = trees.get(value) if value is not None else None
        return tree(subject) if tree is not None else None

    return look_up


def _build_ranges(ranges: list[View], read: Input, build: Callable[[View], Tree[T]]) -> Tree[T]:
    """The narrowest range first; one that is exclusive serves only where it is the narrowest."""
    found: list[tuple[Network, bool, Tree[T]]] = []
    for each in ranges:
        networks, exclusive = build_networks(each.ranges), each.exclusive
        with each.at("on_match"):
            tree = build(each.on_match)
        found += [(network, exclusive, tree) for network in networks]
    found.sort(key=lambda entry: -entry[0].prefixlen)

    def look_up(subject: Subject) -> T | None:
        text = read(subject)
        if text is None or not is_ip(text):
            return None
        ip = ip_address(text)
        for i, (_, exclusive, tree) in enumerate(entry for entry in found if ip in entry[0]):
            if (action := None if exclusive and i else tree(subject)) is not None:
                return action
        return None

    return look_up


def _starts(read: Input, prefix: str) -> Condition:
    return lambda subject: (value := read(subject)) is not None and value.startswith(prefix)


def _build_condition(view: View, ctx: Context, build_input: BuildInput) -> Condition:
    kind = view.which("match_type")
    if kind == "single_predicate":
        with view.at("single_predicate"):
            return _build_single(view.single_predicate, ctx, build_input)
    if kind == "not_matcher":
        with view.at("not_matcher"):
            inner = _build_condition(view.not_matcher, ctx, build_input)
        return lambda subject: not inner(subject)
    if kind not in ("or_matcher", "and_matcher"):
        raise ConfigError("a predicate needs one of its forms")
    combine = any if kind == "or_matcher" else all
    conditions = []
    for i, each in enumerate(getattr(view, kind).predicate):
        with view.at(kind), getattr(view, kind).at("predicate", i):
            conditions.append(_build_condition(each, ctx, build_input))
    return lambda subject: combine(condition(subject) for condition in conditions)


def _build_single(view: View, ctx: Context, build_input: BuildInput) -> Condition:
    with view.at("input"):
        read = build_input(view.input)
    if view.which("matcher") == "custom_match":
        with view.at("custom_match"):
            typed_config(view.custom_match)
    with view.at("value_match"):
        match = build_string_matcher(view.value_match, ctx)
    return lambda subject: (value := read(subject)) is not None and match(value)

