"""A function that joins fixed text and values, written as Python and compiled: an f-string costs half of a join.

What it is made of is numbered; nothing of a configuration's text becomes code.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshproxy.observe.operators import Exchange, Getter


def generate(pieces: Sequence[str | Getter], value: str, names: Mapping[str, Any]) -> Callable[[Exchange], str]:
    """The pieces in order, texts as they are and getters asked.

    value: the expression that makes text of what `{get}(stream)` gives; it may use `names`.
    """
    known: dict[str, Any] = dict(names)
    parts = []
    for place, piece in enumerate(_merged(pieces)):
        name = f"piece{place}"
        known[name] = piece
        parts.append(f"{{{value.replace('{get}', name) if callable(piece) else name}}}")
    write: Callable[[Exchange], str] = eval(f"lambda stream: f'{''.join(parts)}'", known)
    return write


def _merged(pieces: Sequence[str | Getter]) -> list[str | Getter]:
    """Texts that stand beside each other as one."""
    merged: list[str | Getter] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
