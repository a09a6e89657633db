"""envoy.config.common.mutation_rules.v3.HeaderMutation."""

from meshproxy.config.build_edits import build_header_value
from meshproxy.config.build_matchers import build_string_matcher
from meshproxy.config.context import Context
from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.http.mutations import Mutation, append, remove, remove_matching
from meshproxy.observe.formatter import wire_text
from meshproxy.routing.path_match import fold_case

_ACTIONS = ("APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT", "OVERWRITE_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS")


def build_mutations(view: View, field: str, ctx: Context) -> tuple[Mutation, ...]:
    """The mutations in the repeated field `field` of `view`, in order."""
    mutations = []
    for i, each in enumerate(getattr(view, field)):
        with view.at(field, i):
            mutations.append(_mutation(each, ctx))
    return tuple(mutations)


def _mutation(view: View, ctx: Context) -> Mutation:
    kind = view.which("action")
    if kind == "remove":
        return remove(fold_case(wire_text(view.remove)))
    if kind == "remove_on_match":
        with view.at("remove_on_match"):
            return remove_matching(build_string_matcher(view.remove_on_match.key_matcher, ctx))
    if kind == "append":
        with view.at("append"):
            value = build_header_value(view.append)
        text = value.text
        format = value.format or (lambda _stream: text)
        return append(value.name, format, _ACTIONS[value.action], value.keep_empty)
    raise ConfigError("a mutation needs an action: append, remove or remove_on_match")
