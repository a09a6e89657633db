"""Headers to add and remove, at any level that has them (core.v3.HeaderValueOption)."""

from meshproxy.config.errors import ConfigError
from meshproxy.config.view import View
from meshproxy.observe.formatter import compile_format, wire_text
from meshproxy.routing.edits import (
    ADD_IF_ABSENT,
    APPEND,
    OVERWRITE,
    OVERWRITE_IF_PRESENT,
    HeaderEdit,
    HeaderValue,
)
from meshproxy.routing.path_match import fold_case

_ACTIONS = {
    "APPEND_IF_EXISTS_OR_ADD": APPEND,
    "ADD_IF_ABSENT": ADD_IF_ABSENT,
    "OVERWRITE_IF_EXISTS_OR_ADD": OVERWRITE,
    "OVERWRITE_IF_EXISTS": OVERWRITE_IF_PRESENT,
}


def build_edit(view: View, kind: str) -> HeaderEdit:
    """`<kind>_headers_to_add` and `<kind>_headers_to_remove` of a message; `kind` is request or response."""
    add, remove = f"{kind}_headers_to_add", f"{kind}_headers_to_remove"
    added = []
    for i, option in enumerate(getattr(view, add)):
        with view.at(add, i):
            added.append(build_header_value(option))
    return HeaderEdit(added, [_removable(view, remove, i, name) for i, name in enumerate(getattr(view, remove))])


def build_header_value(view: View) -> HeaderValue:
    """One header to add; refuses those that only rewrites may change."""
    name = fold_case(wire_text(view.header.key))
    if name.startswith(":") or name == "host":
        raise ConfigError(":-prefixed or host headers may not be modified")
    action = _ACTIONS[view.enum("append_action")]
    append = view.append
    if append is not None:
        if action != APPEND:
            raise ConfigError("Both append and append_action are set and it's not allowed")
        action = APPEND if append else OVERWRITE
    view.header.ignore("raw_value", why="as in Envoy, only value is read here")
    text = view.header.value
    with view.at("header"):
        if "%" in text:
            return HeaderValue(name, "", action, view.keep_empty_value, compile_format(text, empty=""))
    return HeaderValue(name, wire_text(text), action, view.keep_empty_value)


def _removable(view: View, field: str, index: int, name: str) -> str:
    folded = fold_case(wire_text(name))
    if folded.startswith(":") or folded == "host":
        with view.at(field, index):
            raise ConfigError(":-prefixed or host headers may not be removed")
    return folded
