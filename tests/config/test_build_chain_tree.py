"""Listener.filter_chain_matcher: what is refused. Which chain serves is in the scenarios network/chain_tree*."""

import asyncio

import pytest

from meshproxy.config.build_filter_chains import build_filter_chains
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.parse import parse
from meshproxy.config.source import inline
from meshproxy.config.view import View, unread

INPUT = "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.DestinationPortInput"
TEXT = "type.googleapis.com/google.protobuf.StringValue"
NODE = "type.googleapis.com/envoy.config.core.v3.Node"


def listener(chains: str, read: str = INPUT, action: str = TEXT) -> View:
    to = f"{{action: {{name: x, typed_config: {{'@type': {action}}}}}}}"
    tree = f"{{input: {{name: d, typed_config: {{'@type': {read}}}}}, exact_match_map: {{map: {{'1': {to}}}}}}}"
    text = f"{{filter_chains: [{chains}], filter_chain_matcher: {{matcher_tree: {tree}}}}}"
    message, problems = parse(inline(text).tree, "envoy.config.listener.v3.Listener")
    assert not problems
    return View(message)


@pytest.mark.parametrize("view, reason", [
    (listener("{name: a}, {filters: []}"), '"name" field is required when using a listener matcher'),
    (listener("{name: a}, {name: a}"), "\"name\" field is duplicated with value 'a'"),
    (listener("{name: a}", action=NODE), "Didn't find a registered implementation for 'x' with type URL"),
    (listener("{name: a}", read=NODE), "Didn't find a registered implementation for 'd' with type URL"),
])  # fmt: skip
def test_what_is_refused(view: View, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build_filter_chains(view, Context(asyncio.new_event_loop()), 1)


def test_matches_of_chains_have_no_effect_and_all_chains_are_there() -> None:
    view = listener("{name: a, filter_chain_match: {destination_port: 1}}, {name: b}")
    chains = build_filter_chains(view, Context(asyncio.new_event_loop()), 1)
    assert [chain.name for chain in chains] == ["a", "b"]
    assert [(problem.path, problem.severity) for problem in unread(view)] == [
        ("filter_chains[0].filter_chain_match", "ignored")
    ]
