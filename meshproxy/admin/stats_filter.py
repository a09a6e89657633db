"""`filter=` of the stats pages: an RE2 that finds something in a name, or does not (`invert_filter`)."""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any

import re2

from meshproxy.observe.selection import Filter

# What means something else where many names stand in one text, a line each.
_WHOLE_TEXT = re.compile(r"\\[AzZC]|\(\?[a-zA-Z]*-")


# What means the same to Python, which cannot lose itself in it either: no repetition but `.*`, and that not often.
_SIMPLE = re.compile(r"(?:[\w:;\-^$|().]|\\\.|\.\*)*", re.ASCII)
_FEW = 2


def name_filter(pattern: str, invert: bool) -> Filter:
    """Raises ValueError with Envoy's words where the pattern is none.

    Asking RE2 for each of 130 names costs 400 µs, Python 40. As lines of one text RE2 searches them in 25 µs where few
    match.
    """
    each = _compile(pattern)
    if _SIMPLE.fullmatch(pattern) and pattern.count("*") <= _FEW:
        return _simple_filter(re.compile(pattern).search, invert)
    lines = None if _WHOLE_TEXT.search(pattern) else _compile(f"(?m)^.*(?:{pattern})")

    def find(names: Sequence[str]) -> Collection[str]:
        if lines is None:
            return frozenset([name for name in names if each.search(name.encode("utf-8")) is not None])
        text = "\n".join(names).encode("utf-8")
        starts = [found.start() for found in lines.finditer(text)]
        return frozenset([text[start : _end(text, start)].decode("utf-8") for start in starts])

    def others(names: Sequence[str]) -> Collection[str]:
        return frozenset(names) - frozenset(find(names))

    return others if invert else find


def _simple_filter(search: Callable[[str], object], invert: bool) -> Filter:
    if invert:
        return lambda names: frozenset([name for name in names if search(name) is None])
    return lambda names: frozenset([name for name in names if search(name) is not None])


def _end(text: bytes, start: int) -> int:
    end = text.find(b"\n", start)
    return len(text) if end < 0 else end


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    # Nothing in a pattern reaches from one line into the next.
    options.never_nl = True
    try:
        return re2.compile(pattern.encode("utf-8"), options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"Invalid re2 regex: {text}") from None
