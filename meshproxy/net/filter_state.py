"""Values that filters keep for later filters, balancers and logs."""

from typing import Any

# What set_filter_state calls the kind of text that a balancer may hash.
HASHABLE_STRINGS = frozenset({"envoy.hashable_string", "istio.hashable_string"})


class HashableText(str):
    """Text by which a connection may be kept to one endpoint (hash policies by filter_state)."""

    __slots__ = ()


class StateObject:
    """A value that is shown in a form of its own: `text` where it is plain, `tree` (for JSON) where it is typed."""

    __slots__ = ("text", "tree")

    def __init__(self, text: str, tree: dict[str, Any]) -> None:
        self.text = text
        self.tree = tree


def kept_text(text: str, factory: str) -> str:
    """What is kept of a text, by the name of its factory."""
    return HashableText(text) if factory in HASHABLE_STRINGS else text
