"""Values that filters keep for later filters, balancers and logs."""

# What set_filter_state calls the kind of text that a balancer may hash.
HASHABLE_STRINGS = frozenset({"envoy.hashable_string", "istio.hashable_string"})


class HashableText(str):
    """Text by which a connection may be kept to one endpoint (hash policies by filter_state)."""

    __slots__ = ()


def kept_text(text: str, factory: str) -> str:
    """What is kept of a text, by the name of its factory."""
    return HashableText(text) if factory in HASHABLE_STRINGS else text
