"""A function that joins fixed text and values, written as Python and compiled: an f-string costs half of a join.

What it is made of is numbered; nothing of a configuration's text becomes code.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from meshproxy.observe.operators import CODE, Exchange, Getter


def generate(pieces: Sequence[str | Getter], value: str, names: Mapping[str, Any]) -> Callable[[Exchange], str]:
    """The pieces in order, texts as they are and getters asked.

    value: the expression that makes text of what `{get}` gives; it may use `names`, and has `value` to itself.
    """
    known: dict[str, Any] = dict(names)
    parts = []
    for place, piece in enumerate(_merged(pieces)):
        if isinstance(piece, str):
            known[f"text{place}"] = piece
            parts.append(f"{{text{place}}}")
        else:
            parts.append(f"{{{value.replace('{get}', _call(piece, place, known))}}}")
    write: Callable[[Exchange], str] = eval(f"lambda stream: f\"{''.join(parts)}\"", known)
    return write


def _call(get: Getter, place: int, known: dict[str, Any]) -> str:
    """The expression that asks a getter; what it needs is added to `known` under names of its own."""
    if get not in CODE:
        known[f"get{place}"] = get
        return f"get{place}(stream)"
    code, names = CODE[get]
    for name, meant in names.items():
        code = re.sub(rf"\b{name}\b", f"{name}{place}", code)
        known[f"{name}{place}"] = meant
    return f"({code})"


def _merged(pieces: Sequence[str | Getter]) -> list[str | Getter]:
    """Texts that stand beside each other as one."""
    merged: list[str | Getter] = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
